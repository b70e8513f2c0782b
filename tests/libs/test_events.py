"""The contract: every event survives its JSON, every name is said once, and the committed schemas are true."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.events import generate
from libs.events.catalogue import MODULES, TOPICS, kinds
from libs.events.envelope import CATALOGUE, Kind, event, kind_of
from libs.kernel.money import Money
from libs.runtime.tx import adapter_of

KINDS = kinds()
MONEY = st.builds(
    Money,
    st.decimals(-(10**12), 10**12, places=2, allow_nan=False, allow_infinity=False),
    st.sampled_from(["CNY", "USD"]),
)
st.register_type_strategy(Money, MONEY)


def bodies(body: type) -> st.SearchStrategy[Any]:
    """Any event of this class; every field is drawn, the optional ones too."""
    hints = get_type_hints(body)
    return st.builds(body, **{field.name: values(hints[field.name]) for field in dataclasses.fields(body)})


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return st.one_of([st.none() if arg is type(None) else values(arg) for arg in args])
    if origin is tuple and Ellipsis not in args:
        return st.tuples(*map(values, args))
    if origin is tuple:
        return st.lists(values(args[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(values(args[0]), values(args[1]), max_size=3)
    if hint is Money:
        return MONEY
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return bodies(hint)
    if hint.__name__ == "Decimal":
        return st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6)
    return st.from_type(hint)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_an_event_survives_its_json_and_fits_its_schema(kind: Kind) -> None:
    fits = jsonschema_rs.validator_for(json.loads(generate.schema_of(kind)))

    @settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(bodies(kind.body))
    def survives(body: Any) -> None:
        text = adapter_of(kind.body).dump_json(body)
        assert adapter_of(kind.body).validate_json(text) == body
        assert fits.is_valid(json.loads(text))

    survives()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_an_event_is_frozen_slotted_named_by_keyword_and_explained(kind: Kind) -> None:
    params = kind.body.__dataclass_params__  # type: ignore[attr-defined]  # every body is a dataclass
    assert params.frozen
    assert hasattr(kind.body, "__slots__")
    assert all(field.kw_only for field in dataclasses.fields(kind.body))
    assert kind.body.__doc__
    assert not kind.body.__doc__.startswith(f"{kind.body.__name__}(")
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*(\.[a-z_]+)?", kind.name)
    key = "partner" if kind.name.startswith(("partner.", "balance.")) else "facility_id"
    assert kind.topic == "clock" or key in {field.name for field in dataclasses.fields(kind.body)}


def test_no_event_holds_a_float() -> None:
    def types(hint: Any) -> set[Any]:
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            return set().union(*(types(each) for each in get_type_hints(hint).values()))
        return {hint}.union(*(types(arg) for arg in get_args(hint)))

    assert not [kind.type for kind in KINDS if {float, Any, object} & types(kind.body)]


def test_every_wire_name_is_said_once_and_found_by_its_class() -> None:
    assert len({kind.type for kind in KINDS}) == len(KINDS) == len(CATALOGUE)
    for kind in KINDS:
        assert kind_of(kind.body) is CATALOGUE[kind.type] is kind
    assert (
        {kind.topic for kind in KINDS}
        == set(TOPICS)
        == {module.__name__.rpartition(".")[2].partition("_")[0] for module in MODULES}
    )


def test_a_wire_name_cannot_be_given_away_twice() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        event("clock", "day.closed")(type("Another", (), {"__dataclass_fields__": {}}))
    with pytest.raises(KeyError):
        kind_of(object())


def test_the_committed_schemas_are_those_of_the_code() -> None:
    assert generate.differences() == []


def test_a_schema_changed_missing_or_astray_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate.write(tmp_path)
    assert generate.main(["--check"], tmp_path) == 0
    (tmp_path / "day.closed.v1.json").write_text("{}")
    (tmp_path / "loan.disbursed.v1.json").unlink()
    (tmp_path / "loan.forgotten.v1.json").write_text("{}")
    assert generate.main(["--check"], tmp_path) == 1
    told = capsys.readouterr().err
    assert "loan.disbursed.v1.json is missing" in told
    assert "loan.forgotten.v1.json belongs to no event" in told
    assert "day.closed.v1.json differs" in told
    assert generate.main([], tmp_path) == 0
    assert generate.differences(tmp_path) == []
