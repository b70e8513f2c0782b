"""Structured logs: one JSON line per happening, with service, place and trace; never a body, a token or personal data.

An error is told by its kind and where it arose. Its own words follow only for kinds whose words are about machines:
a driver or a validator quotes the value it refused, and that may be somebody's name.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, NamedTuple

import httpx
import structlog
from aiokafka.errors import KafkaError

from libs.kernel.errors import Rejection

FAULT_CHARACTERS_MAX = 300
_SPEAKABLE = (OSError, TimeoutError, KafkaError, httpx.TransportError)
_OWN_HANDLERS = ("uvicorn", "uvicorn.error", "uvicorn.access")
_Event = MutableMapping[str, Any]


class Here(NamedTuple):
    """What the work at hand is about; every line logged meanwhile carries it."""

    traceparent: str = ""
    key: str = ""
    loan: str = ""
    event_id: str = ""


HERE: ContextVar[Here] = ContextVar("here", default=Here())  # noqa: B039 - a tuple


def configure(*, service: str, replica: str, level: str) -> None:
    """Send the logs of this process, also those of uvicorn and the libraries, to standard output as JSON lines.

    Libraries speak from `warning` on. Uvicorn's access log stays silent: it quotes the query as the caller wrote it.
    """
    origin = {"service": service, "replica": replica}
    structlog.configure(
        processors=[*_shared(origin), structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    logging.raiseExceptions = False  # a line that cannot be written would be quoted on standard error
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter(origin))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
    for name in _OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"


def formatter(origin: dict[str, str] | None = None) -> structlog.stdlib.ProcessorFormatter:
    """What gives a line of the standard library's logging the same shape; libs/runtime/uvicorn.json names it."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_named, *_shared(origin or {}), _first_line],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    )


def fault(error: BaseException) -> str:
    """What may be told of an error: its kind and code, and its words or, where those may quote data, its place."""
    if isinstance(error, Rejection):
        return error.code
    if isinstance(error, _SPEAKABLE):
        return repr(error)[:FAULT_CHARACTERS_MAX]
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    places = [place for place in _places(error.__traceback__) if "site-packages" not in place]
    return " ".join([type(error).__name__, *([state] if state else []), *places[-1:]])


def _places(traceback: TracebackType | None) -> list[str]:
    found = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        found.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return found


def _shared(origin: dict[str, str]) -> list[Any]:
    def placed(_logger: Any, _method: str, event: _Event) -> _Event:
        here = HERE.get()
        known = {
            **origin,
            "trace_id": here.traceparent[3:35],
            "key": here.key,
            "loan": here.loan,
            "event_id": here.event_id,
        }
        return {**{name: value for name, value in known.items() if value}, **event}

    return [placed, structlog.stdlib.add_log_level, structlog.processors.TimeStamper("iso", key="time"), _without_words]


def _without_words(_logger: Any, _method: str, event: _Event) -> _Event:
    """Exception info as a fault and the places it passed: a rendered traceback would end in the error's words."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event.update(error=fault(error), stack=_places(error.__traceback__))
    return event


def _first_line(_logger: Any, _method: str, event: _Event) -> _Event:
    """The further lines of a library's message may hold the words of an error, as asyncio's do."""
    event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _named(_logger: Any, _method: str, event: _Event) -> _Event:
    event["logger"] = event["_record"].name
    return event
