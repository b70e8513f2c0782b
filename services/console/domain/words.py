"""Events in plain words: a title and a sentence per wire name and language; codes travel, texts are made here.

A sentence is a template over the fields of the event's body: `{amount}` as it reads, `{annual_rate:percent}` as a
percentage, `{after:code}` as the word for a code, `{checks:count}` as how many. A field not carried reads as a dash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from string import Formatter
from typing import Any

NOTHING = "–"
PER_CENT = Decimal(100)


class Lang(StrEnum):
    """The reader's language."""

    EN = "en"
    ZH = "zh"


@dataclass(frozen=True, slots=True)
class Words:
    """One text in both languages."""

    en: str
    zh: str

    def of(self, lang: Lang) -> str:
        """The text in one language."""
        return self.zh if lang is Lang.ZH else self.en


@dataclass(frozen=True, slots=True)
class Phrase:
    """What an event is called and the sentence that tells it."""

    title: Words
    sentence: Words


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Every phrase by wire name, and the words for codes."""

    phrases: Mapping[str, Phrase]
    codes: Mapping[str, Words]

    def title(self, name: str, lang: Lang) -> str:
        """What the event is called; its wire name when nobody has named it yet."""
        phrase = self.phrases.get(name)
        return phrase.title.of(lang) if phrase else name

    def sentence(self, name: str, body: Mapping[str, Any], lang: Lang) -> str:
        """The event told in one sentence; empty for a type without words."""
        phrase = self.phrases.get(name)
        if phrase is None:
            return ""
        parts = Formatter().parse(phrase.sentence.of(lang))
        return "".join(
            literal if name is None else literal + self._told(body.get(name), form or "", lang)
            for literal, name, form, _ in parts
        )

    def code(self, code: str, lang: Lang) -> str:
        """The word for a code; the code itself, with spaces, when it has none."""
        words = self.codes.get(code)
        return words.of(lang) if words else code.replace("_", " ")

    def _told(self, value: Any, form: str, lang: Lang) -> str:
        if value is None or value in ("", [], {}):
            return NOTHING
        if isinstance(value, bool):
            return self.code("yes" if value else "no", lang)
        match form:
            case "percent":
                return f"{_plain(Decimal(value) * PER_CENT)} %"
            case "count":
                return str(len(value))
            case "code":
                codes = [value] if isinstance(value, str) else value
                return ", ".join(self.code(code, lang) for code in codes)
            case _:
                return shown(value)


def fields_of(template: str) -> frozenset[str]:
    """The body fields a template speaks of."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)


def shown(value: Any) -> str:
    """A JSON value as people read it: money with separators and its currency, a list by commas, an object by spaces."""
    match value:
        case None | "" | []:
            return NOTHING
        case {"amount": amount, "currency": currency}:
            return f"{Decimal(amount):,.2f} {currency}"
        case dict():
            return " ".join(shown(part) for part in value.values() if part not in (None, "", [], {})) or NOTHING
        case list():
            return ", ".join(shown(part) for part in value)
        case _:
            return str(value)


def _plain(number: Decimal) -> str:
    """At most four decimals, no trailing zeros, no exponent."""
    text = f"{round(number, 4):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
