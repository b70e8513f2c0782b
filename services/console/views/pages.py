"""Renders the pages: no script, no outside resource, everything escaped, and a header that holds the browser to it."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.console.domain.words import NOTHING, Lang
from services.console.views.lexicon import LEXICON, label

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
OTHER = {Lang.EN: Lang.ZH, Lang.ZH: Lang.EN}


def _amount(value: Decimal | None) -> str:
    return NOTHING if value is None else f"{value:,.2f}"


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


def _environment() -> Environment:
    folder = Path(__file__).resolve().parents[1] / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(amount=_amount, pretty=_pretty)
    return environment


_ENVIRONMENT = _environment()


def render(page: str, lang: Lang, *, status: int = 200, **facts: Any) -> HTMLResponse:
    """One page in one language, with a link to the same page in the other."""
    text = _ENVIRONMENT.get_template(f"{page}.html").render(
        lang=lang.value,
        other=OTHER[lang].value,
        label=partial(label, lang=lang),
        code=partial(LEXICON.code, lang=lang),
        title_of=partial(LEXICON.title, lang=lang),
        **facts,
    )
    return HTMLResponse(text, status_code=status, headers=HEADERS)
