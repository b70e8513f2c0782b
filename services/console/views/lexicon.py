"""Reads the console's texts, once, at import: a text that lacks a language stops the process, not a page."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from libs.events.catalogue import TOPICS
from services.console.domain.words import Lang, Lexicon, Phrase, Words

FOLDER = Path(__file__).resolve().parents[1] / "texts"


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def _words(entry: dict[str, str]) -> Words:
    return Words(**entry)


def read_lexicon() -> Lexicon:
    """Every phrase of every topic, and the words for codes."""
    entries = {name: entry for topic in TOPICS for name, entry in _read(topic).items()}
    phrases = {name: Phrase(_words(entry["title"]), _words(entry["sentence"])) for name, entry in entries.items()}
    return Lexicon(phrases, {code: _words(entry) for code, entry in _read("codes").items()})


LEXICON = read_lexicon()
LABELS = {name: _words(entry) for name, entry in _read("pages").items()}


def label(name: str, lang: Lang) -> str:
    """A heading, button or hint of the pages; KeyError for one that was never written."""
    return LABELS[name].of(lang)
