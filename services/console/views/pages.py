"""Renders the pages: no script, no outside resource, everything escaped, and a header that holds the browser to it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from services.console.domain.words import NOTHING, Lang
from services.console.views.lexicon import LEXICON, label
from services.console.views.story import EventSeen

FOLDER = Path(__file__).resolve().parents[1] / "templates"
STYLE = (FOLDER / "console.css").read_text(encoding="utf-8")
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTE, HOUR, DAY = 60, 3_600, 86_400
OTHER = {Lang.EN: Lang.ZH, Lang.ZH: Lang.EN}


def _amount(value: Decimal | None) -> str:
    return NOTHING if value is None else f"{value:,.2f}"


def _parsed(value: Any) -> Any:
    """What a text writes as JSON; the value itself when it writes none."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _pretty(value: Any) -> str:
    parsed = _parsed(value)
    return parsed if isinstance(parsed, str) else json.dumps(parsed, ensure_ascii=False, indent=2, sort_keys=True)


def _type_of(headers: Any) -> str:
    """The type that an event's headers name; empty when they name none."""
    heads = _parsed(headers)
    return str(heads.get("ce_type", "")) if isinstance(heads, dict) else ""


def _days(events: Sequence[EventSeen]) -> list[tuple[date, list[EventSeen]]]:
    """The story's events by business date, in the story's own order."""
    return [(day, list(of_day)) for day, of_day in groupby(events, key=lambda event: event.business_date)]


def _count(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def _moment(value: str) -> str:
    """A time of the wall clock to the second, in UTC; what is not one is shown as it is."""
    try:
        return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return value


def _age(seconds: int, lang: Lang) -> str:
    """How long something has waited, in its largest whole unit."""
    for unit, name in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if seconds >= unit:
            return f"{seconds // unit} {label(name, lang)}"
    return f"{seconds} {label('seconds', lang)}"


def _weekday(day: date, lang: Lang) -> str:
    return label(WEEKDAYS[day.weekday()], lang)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        amount=_amount, pretty=_pretty, count=_count, moment=_moment, type_of=_type_of, days=_days
    )
    return environment


_ENVIRONMENT = _environment()


def render(page: str, lang: Lang, *, status: int = 200, **facts: Any) -> HTMLResponse:
    """One page in one language, with a link to the same page in the other."""
    text = _ENVIRONMENT.get_template(f"{page}.html").render(
        lang=lang.value,
        other=OTHER[lang].value,
        style=Markup(STYLE),  # noqa: S704 - our own file, and its hash is in the header
        guest=facts.pop("guest", None),
        label=partial(label, lang=lang),
        age=partial(_age, lang=lang),
        weekday=partial(_weekday, lang=lang),
        code=partial(LEXICON.code, lang=lang),
        title_of=partial(LEXICON.title, lang=lang),
        **facts,
    )
    return HTMLResponse(text, status_code=status, headers=HEADERS)
