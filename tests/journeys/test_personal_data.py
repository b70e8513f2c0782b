"""After a whole run no borrower's name, identity number or phone is in clear but in the identity door's answer."""

from __future__ import annotations

import base64
import json

import pytest

from deploy.demo.lives import Life
from tests.harness.leaks import leaks
from tests.harness.platform import Run
from tests.harness.private import EVERY_NAME_HOLDS, PLANTED, Searched, values_of
from tests.journeys.conftest import fates

NAME, ID_NUMBER, PHONE = "杭州晨禾示例五金有限公司", "339901199001011234", "19900000012"


@pytest.fixture(scope="session")
def lives(chinese: Run) -> dict[str, Life]:
    return fates(chinese)


def test_the_door_told_what_the_purpose_needs_and_nothing_without_consent(
    searched: Searched, lives: dict[str, Life]
) -> None:
    assert set(lives) == {"refused", "repaid", "written_off"}
    for fate, life in lives.items():
        assert tuple(searched.disclosed[life.ref].values()) == values_of(life)
        assert searched.refused[life.ref] == ("party_erased" if fate == "refused" else "purpose_not_consented")


def test_no_personal_data_is_anywhere_in_clear_but_where_it_was_planted(
    searched: Searched, lives: dict[str, Life]
) -> None:
    name, id_number, _ = values_of(next(iter(lives.values())))
    planted = [(f"{PLANTED}.as_{kind}", name) for kind in ("bytea", "jsonb", "text")]
    marks = [(place, EVERY_NAME_HOLDS) for place, _ in planted]
    assert searched.found == sorted([*planted, *marks, (f"log {PLANTED}.log", id_number)])


def test_everything_was_searched(searched: Searched) -> None:
    places = {place for place, content in searched.places if content or place.startswith("log ")}
    assert {"application.parties", "application.requests", "application.disclosures", "console.story"} <= places
    assert {"topic application", "topic clock", "log application-1.log", "log postgres.log", "report"} <= places
    assert sum(place.startswith("topic ") for place in places) >= 6
    assert searched.bytes_read > 5_000_000


@pytest.mark.parametrize("value", [NAME, ID_NUMBER, PHONE])
def test_a_planted_value_is_found_in_every_dress(value: str) -> None:
    raw = value.encode()
    dressed = [
        raw,
        json.dumps({"x": value}).encode(),
        raw.hex().encode(),
        *(base64.b64encode(b"x" * shift + raw + b"yz") for shift in range(3)),
        *(base64.urlsafe_b64encode(b"\xff" * shift + raw) for shift in range(3)),
    ]
    places = [(str(number), b"before " + content + b" after") for number, content in enumerate(dressed)]
    assert leaks(places, [value]) == [(str(number), value) for number in range(len(dressed))]
    assert leaks(places, ["somebody else", value[:5] + "~" + value[6:]]) == []
