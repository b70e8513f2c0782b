"""Every event is told in English and Chinese, from fields it really carries; nothing in a body runs as a template."""

from __future__ import annotations

import dataclasses
from string import Formatter

import pytest

from libs.events.catalogue import kinds
from libs.events.envelope import Kind
from libs.events.rating import RatingAssigned
from services.console.domain.facility import Stage
from services.console.domain.words import NOTHING, Lang, Lexicon, Phrase, Words, fields_of, shown
from services.console.views.lexicon import LEXICON
from tests.console.samples import sample, told

FORMS = {"", "percent", "code", "count"}


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.type)
@pytest.mark.parametrize("lang", Lang)
def test_every_type_has_a_title_and_a_sentence_over_its_own_fields(kind: Kind, lang: Lang) -> None:
    phrase = LEXICON.phrases[kind.name]
    template = phrase.sentence.of(lang)
    assert phrase.title.of(lang)
    assert fields_of(template) <= {field.name for field in dataclasses.fields(kind.body)}
    assert {form or "" for _, _, form, _ in Formatter().parse(template)} <= FORMS


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind.topic != "clock"], ids=lambda kind: kind.type)
@pytest.mark.parametrize("lang", Lang)
def test_every_type_is_told_whole(kind: Kind, lang: Lang) -> None:
    sentence = LEXICON.sentence(kind.name, told(sample(kind.body, facility_id="f"), 1).body, lang)
    assert sentence
    assert "{" not in sentence
    assert sentence[-1] in ".。"


def test_no_words_are_kept_for_an_event_that_does_not_exist() -> None:
    assert set(LEXICON.phrases) == {kind.name for kind in kinds()}


def test_both_languages_tell_of_the_same_fields() -> None:
    uneven = [name for name, p in LEXICON.phrases.items() if fields_of(p.sentence.en) != fields_of(p.sentence.zh)]
    assert uneven == []


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_has_a_word_in_both_languages(stage: Stage) -> None:
    words = LEXICON.codes[stage.value]
    assert words.en
    assert words.zh


def test_a_sentence_speaks_money_percentages_codes_and_counts() -> None:
    words = Words("{amount}; {rate:percent}; {grade:code}; {items:count}; {final}; {parts}", "{final}")
    lexicon = Lexicon({"x": Phrase(words, words)}, {"red": Words("red light", "红灯"), "yes": Words("yes", "是")})
    body = {
        "amount": {"amount": "1234567.80", "currency": "CNY"},
        "rate": "0.043500",
        "grade": ["red", "no_word_for_it"],
        "items": [1, 2],
        "final": True,
        "parts": [{"party": "bank", "amount": {"amount": "2.00", "currency": "CNY"}}, {"party": "fund", "note": ""}],
    }
    expected = "1,234,567.80 CNY; 4.35 %; red light, no word for it; 2; yes; bank 2.00 CNY, fund"
    assert lexicon.sentence("x", body, Lang.EN) == expected
    assert lexicon.sentence("x", body, Lang.ZH) == "是"


@pytest.mark.parametrize("absent", [{}, {"a": None}, {"a": ""}, {"a": []}])
def test_a_field_not_carried_or_empty_reads_as_a_dash(absent: dict[str, object]) -> None:
    words = Words("[{a}] [{a:percent}] [{a:count}] [{a:code}]", "-")
    assert Lexicon({"x": Phrase(words, words)}, {}).sentence("x", absent, Lang.EN) == " ".join([f"[{NOTHING}]"] * 4)


def test_zero_and_false_are_told_not_dashed() -> None:
    words = Words("{days} {final}", "-")
    assert Lexicon({"x": Phrase(words, words)}, {}).sentence("x", {"days": 0, "final": False}, Lang.EN) == "0 no"


def test_braces_in_a_body_stay_text() -> None:
    hostile = sample(RatingAssigned, grade="{score} {0.__class__}")
    sentence = LEXICON.sentence("rating.assigned", told(hostile, 1).body, Lang.EN)
    assert "{score} {0.__class__}" in sentence


def test_a_type_without_words_is_called_by_its_wire_name() -> None:
    assert LEXICON.title("loan.teleported", Lang.EN) == "loan.teleported"
    assert LEXICON.sentence("loan.teleported", {}, Lang.EN) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, NOTHING), ([], NOTHING), ({}, NOTHING), ({"a": ""}, NOTHING), (3, "3"), ("A", "A"), ([["a"], 2], "a, 2")],
)
def test_plain_values_read_plainly(value: object, text: str) -> None:
    assert shown(value) == text
