"""A line of the log says who, where and in which trace, whoever wrote it; and nothing about anybody."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import structlog

from libs.kernel.errors import Refused
from libs.runtime.logs import configure, fault
from libs.runtime.serve import LOG_CONFIG
from tests.harness import toy
from tests.harness.bench import Bench

DAY = date(2026, 1, 5)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NAME = "Zhang San 110101199003078888"
Make = Callable[..., Bench]
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The lines logged since the last look; logging is as it was afterwards."""
    loggers = {name: logging.getLogger(name) for name in ("", "asyncio", "uvicorn", "uvicorn.error", "uvicorn.access")}
    before = {name: (logger.handlers[:], logger.level, logger.propagate) for name, logger in loggers.items()}
    for name in filter(None, loggers):  # as in a new process, whatever other tests of this one had them do
        loggers[name].handlers[:], loggers[name].propagate, loggers[name].disabled = [], True, False
        loggers[name].setLevel(logging.NOTSET)
    out = io.StringIO()
    with redirect_stdout(out):
        configure(service="rating", replica="rating-1", level="info")

    def look() -> list[dict[str, Any]]:
        text = out.getvalue()
        out.truncate(0)
        assert NAME not in text
        return [json.loads(line) for line in text.splitlines()]

    yield look
    structlog.reset_defaults()
    logging.raiseExceptions = True
    for name, (handlers, level, propagate) in before.items():
        loggers[name].handlers[:], loggers[name].propagate = handlers, propagate
        loggers[name].setLevel(level)


async def test_a_line_names_service_facility_event_and_trace(toy_bench: Make, lines: Lines) -> None:
    async with toy_bench("rating") as bench:
        poison = bench.arrival(toy.referral("f1", f"poison {NAME}"), "f1", DAY)
        poison.headers["traceparent"] = f"00-{TRACE}-00f067aa0ba902b7-01"
        await bench.deliver(poison)
        (line,) = lines()
    assert line.pop("time").startswith("20")
    assert line == {
        "event": "event_parked",
        "level": "error",
        "service": "rating",
        "replica": "rating-1",
        "key": "f1",
        "event_id": poison.event_id,
        "trace_id": TRACE,
        "reason": "toy_poison",
    }


async def test_a_failed_request_is_told_without_body_token_or_the_errors_words(
    toy_bench: Make, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def quoting(*_: object) -> None:
        raise ValueError(f"invalid input: {NAME!r}")

    monkeypatch.setattr(toy, "note", quoting)
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        answer = await bench.post("/referrals", {"facility_id": "f1", "name": NAME}, role="officer")
        assert answer.status_code == 500
        (line,) = lines()
    assert (line["event"], line["key"], len(line["trace_id"])) == ("request_failed", "f1", 32)
    assert line["error"].startswith("ValueError ")
    assert line["error"].endswith(" quoting")
    assert answer.request.headers["authorization"][7:] not in json.dumps(line)


def test_what_uvicorn_and_libraries_say_has_the_same_shape(lines: Lines) -> None:
    try:
        raise ValueError(NAME)
    except ValueError as error:
        logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=error)
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: %r", ValueError(NAME))
    logging.getLogger("httpx").info("HTTP Request: GET %s", NAME)
    logging.getLogger("uvicorn.access").info("GET /v1/people?name=%s", NAME)
    structlog.get_logger().debug("too small")
    failed, task = lines()
    assert (failed["event"], failed["logger"], failed["level"]) == (
        "Exception in ASGI application",
        "uvicorn.error",
        "error",
    )
    assert failed["stack"]
    assert failed["error"].startswith("ValueError ")
    assert (task["event"], task["service"]) == ("Task exception was never retrieved", "rating")


def test_uvicorns_first_lines_come_in_the_same_shape(lines: Lines) -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        logging.config.dictConfig(json.loads(Path(LOG_CONFIG).read_text("utf-8")))
    logging.getLogger("uvicorn.error").warning("Started server process")
    line = json.loads(out.getvalue())
    assert (line["event"], line["level"], line["logger"]) == ("Started server process", "warning", "uvicorn.error")


def test_an_error_is_told_by_its_kind_and_its_words_only_where_they_are_about_machines() -> None:
    assert fault(Refused("limit_exceeded", NAME)) == "limit_exceeded"
    assert fault(ConnectionRefusedError(111, "no one listens")) == "ConnectionRefusedError(111, 'no one listens')"
    assert fault(KeyError(NAME)) == "KeyError"
