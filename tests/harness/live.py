"""A service's background work on a real broker, in this process, and a bank that misbehaves on demand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import date
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.local.stack import PARTITIONS
from libs.runtime.calls import Caller
from libs.runtime.consumer import Consumer
from libs.runtime.inbound import Arrival
from libs.runtime.relay import Relay
from libs.runtime.service import Service
from libs.runtime.settings import Settings
from libs.runtime.tx import Cause, Tx

PATIENCE_S = 15.0


async def until(true: Callable[[], Awaitable[bool]], what: str, *, seconds: float = PATIENCE_S) -> None:
    """Wait until `true()`; fails with `what` after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while not await true():
                await asyncio.sleep(0.03)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what}") from None


class Node:
    """One process of a service as far as Kafka, time and partners see it; start and crash its parts at will."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self.service, self.parts = service, service.parts(settings)
        self.consumer = Consumer(self.parts)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Node:
        return self

    async def __aexit__(self, *_: object) -> None:
        for name in list(self._tasks):
            await self.crash(name)
        await self.parts.close()

    def relay(self, name: str = "relay") -> None:
        """Start a relay."""
        self._tasks[name] = asyncio.create_task(Relay(self.parts).run())

    async def consume(self) -> None:
        """Start the consumer and wait for its first assignment."""
        self._tasks["consumer"] = asyncio.create_task(self.consumer.run())
        await asyncio.wait_for(self.consumer.ready.wait(), PATIENCE_S)

    def call(self) -> None:
        """Start the worker of outbound calls."""
        self._tasks["calls"] = asyncio.create_task(Caller(self.parts).run())

    async def crash(self, name: str) -> None:
        """Cancel one part at whatever point it is."""
        task = self._tasks.pop(name)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def do(self, command: Callable[[Tx], Awaitable[Any]], *keys: str, on: date) -> Any:
        """Run a command as the HTTP door would, without the door."""
        async with self.parts.transaction() as unit:
            await unit.lock(keys)
            result = await command(Tx(unit, Cause(actor="test"), on))
            await unit.flush()
            return result

    async def rows(self, statement: str) -> list[Any]:
        """What one statement finds in this schema: tuples, or values when there is one column."""
        async with self.parts.engine.connect() as conn:
            found = [tuple(row) for row in await conn.exec_driver_sql(statement)]
            return [row[0] if len(row) == 1 else row for row in found]

    async def run(self, statement: str, *values: Any) -> None:
        """One statement, committed."""
        async with self.parts.engine.begin() as conn:
            await conn.exec_driver_sql(statement, values)

    async def stand_at(self, day: date) -> None:
        """Set the business date without a tick."""
        await self.run("INSERT INTO clock (id, open) VALUES (1, $1) ON CONFLICT (id) DO NOTHING", day)

    async def tallies(self) -> dict[str, list[str]]:
        """What took effect per facility, in order."""
        return {key: json.loads(seen) for key, seen in await self.rows("SELECT facility_id, seen FROM tally")}


async def read_all(bootstrap: str, topic: str, parts: int = PARTITIONS) -> list[Any]:
    """Every record now in a topic, by partition and offset."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        tps = [TopicPartition(topic, part) for part in range(parts)]
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        found: list[Any] = []
        for tp in tps:
            while await consumer.position(tp) < ends[tp]:
                found += [record for batch in (await consumer.getmany(tp, timeout_ms=200)).values() for record in batch]
        return found
    finally:
        await consumer.stop()


def encoded(arrival: Arrival) -> list[tuple[str, bytes]]:
    """An arrival's headers as they stand on the wire."""
    return [(name, value.encode()) for name, value in arrival.headers.items()]


class Wire:
    """Writes records to the broker as a publisher would, or as no publisher should."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._prefix = prefix
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)

    async def __aenter__(self) -> Wire:
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def put(self, *arrivals: Arrival) -> None:
        """Publish arrivals in this order; the broker gives them partition and offset."""
        for arrival in arrivals:
            await self.raw(arrival.topic, arrival.key.encode(), arrival.payload.encode(), encoded(arrival))

    async def raw(
        self, topic: str, key: bytes, value: bytes | None, headers: list[tuple[str, Any]], part: int | None = None
    ) -> Any:
        """Publish anything."""
        return await self._producer.send_and_wait(
            self._prefix + topic, value=value, key=key, headers=headers, partition=part
        )


class Bank:
    """A partner over real HTTP that counts its effects and follows `script`, one word per transfer, then `ok`.

    `ok` answers 201 · `lose` does the work and drops the connection · `fail` answers 500 without doing it ·
    `forget` drops the connection without doing it.
    """

    def __init__(self, *script: str) -> None:
        self.script = list(script)
        self.transfers: list[str] = []
        self.inquiries: list[str] = []
        self.traceparents: list[str] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Bank:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return "http://127.0.0.1:{1}".format(*self._server.sockets[0].getsockname())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split(" ", 2)
            lengths = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
            traced = [line for line in head.split("\r\n") if line.startswith("traceparent:")]
            self.traceparents += [line.partition(":")[2].strip() for line in traced]
            body = await reader.readexactly(int(lengths[0].split(":")[1])) if lengths else b"{}"
            status = self._transfer(json.loads(body)["reference"]) if method == "POST" else self._inquiry(path)
            if status:
                answer = b'{"status": "done"}'
                writer.write(
                    f"HTTP/1.1 {status} X\r\ncontent-length: {len(answer)}\r\nconnection: close\r\n\r\n".encode()
                    + answer
                )
                await writer.drain()
        writer.close()

    def _transfer(self, reference: str) -> int:
        word = self.script.pop(0) if self.script else "ok"
        if word in ("ok", "lose"):
            self.transfers.append(reference)
        return {"ok": 201, "lose": 0, "fail": 500, "forget": 0}[word]

    def _inquiry(self, path: str) -> int:
        reference = path.rpartition("/")[2]
        self.inquiries.append(reference)
        return 200 if reference in self.transfers else 404
