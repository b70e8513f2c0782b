"""Every number a rule asks for is in a dated, titled file, for every profile, in the shape the rule reads it in."""

from __future__ import annotations

import ast
import dataclasses
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from libs.kernel.policy import in_force
from libs.runtime.policies import read_profile, read_version, read_versions
from services.application import main as application
from services.collateral import main as collateral
from services.console import main as console
from services.guarantee import main as guarantee
from services.incentive import main as incentive
from services.rating import main as rating
from tests.house.rules import ROOT

SERVICES = (application, rating, collateral, guarantee, incentive, console)
PROFILES = sorted(path.stem for path in (ROOT / "profiles").glob("*.toml"))
BEGINS = {"cn-branch": date(2025, 9, 1), "us-sba": date(1970, 1, 1)}
TITLES = ("reason", "approved_by", "level", "source")
FILES = sorted([*ROOT.glob("services/*/policies/*/*.toml"), *ROOT.glob("deploy/demo/policies/*/*.toml")])


def asked(source: str) -> list[tuple[str, str]]:
    """The (terms class as written, policy name) of every `tx.policy(Terms, "service/policy")` in a module."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "policy":
            terms, name = node.args[:2]
            if not isinstance(name, ast.Constant):
                raise ValueError(f"line {node.lineno}: a policy is asked for by its literal name")
            found.append((ast.unparse(terms), str(name.value)))
    return found


def terms_of(module: str, written: str) -> type:
    """The class that `written` names in a module that is loaded already."""
    value: Any = sys.modules[module]
    for part in written.split("."):
        value = getattr(value, part)
    assert isinstance(value, type)
    return value


def all_asked() -> Iterator[tuple[type, str]]:
    """Every terms class with the name of the policy it is read from, over all services."""
    for path in sorted((ROOT / "services").rglob("*.py")):
        pairs = asked(path.read_text("utf-8"))
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        yield from ((terms_of(module, written), name) for written, name in pairs)


ASKED = sorted(set(all_asked()), key=lambda pair: (pair[1], pair[0].__name__))


def untitled(path: Path) -> list[str]:
    """What a policy file lacks; an unreadable file lacks everything."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
        date.fromisoformat(path.stem)
    except ValueError as error:
        return [f"{path.name}: {error}"]
    return [title for title in TITLES if not str(content.get(title, "")).strip()]


def misfits(terms: type, content: dict[str, Any]) -> list[str]:
    """Why `content` cannot be read as `terms`, and which of its words no rule would ever read."""
    try:
        TypeAdapter(terms).validate_python(content)
    except ValidationError as error:
        return [f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()]
    known = {field.name for field in dataclasses.fields(terms)}
    return [f"{word}: read by nobody" for word in content if word not in known]


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-4:]))
def test_a_policy_file_is_named_by_its_date_and_says_why_who_and_whence(path: Path) -> None:
    assert untitled(path) == []


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_maps_what_services_ask_for_and_nothing_else(profile: str) -> None:
    mapped = read_profile(profile).policies
    assert set(mapped) == {name for _, name in ASKED}
    assert all(name.split("/")[0] == actual.split("/")[0] for name, actual in mapped.items())


def test_every_policy_folder_serves_some_profile() -> None:
    mapped = {actual for profile in PROFILES for actual in read_profile(profile).policies.values()}
    folders = {f"{path.parts[-4]}/{path.parent.name}" for path in FILES if "services" in path.parts}
    assert folders == mapped


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("terms", "name"), ASKED, ids=lambda value: getattr(value, "__name__", value))
def test_every_version_is_readable_in_the_shape_its_rule_asks_for(profile: str, terms: type, name: str) -> None:
    versions = read_versions(read_profile(profile).policies[name])
    assert versions
    for version in versions:
        assert misfits(terms, version.terms) == [], version.ref


@pytest.mark.parametrize("profile", PROFILES)
def test_every_policy_is_in_force_when_the_profile_begins(profile: str) -> None:
    actual = read_profile(profile).policies.values()
    assert [name for name in actual if in_force(read_versions(name), BEGINS[profile]) is None] == []


def test_each_service_asks_for_its_own_policies_alone() -> None:
    for path in sorted((ROOT / "services").rglob("*.py")):
        service = path.relative_to(ROOT).parts[1]
        assert {name.split("/")[0] for _, name in asked(path.read_text("utf-8"))} <= {service}


def test_the_scan_finds_what_services_ask_for() -> None:
    assert asked('x = tx.policy(Terms, "a/b")\ny = tx.policy(rules.Terms, "a/c", on=day)') == [
        ("Terms", "a/b"),
        ("rules.Terms", "a/c"),
    ]
    with pytest.raises(ValueError, match="literal name"):
        asked("tx.policy(Terms, name)")
    assert {name.split("/")[0] for _, name in ASKED} == {main.service.name for main in SERVICES} - {"console"}


@dataclasses.dataclass(frozen=True, slots=True)
class Fee:
    rate: Decimal
    months: int


GOOD = 'reason = "r"\napproved_by = "a"\nlevel = "l"\nsource = "s"\n[terms]\nrate = 0.1\nmonths = 1\n'


@pytest.mark.parametrize(
    ("name", "spoil", "told"),
    [
        ("2026-01-01.toml", lambda text: text.replace('source = "s"\n', ""), "source"),
        ("2026-01-01.toml", lambda text: text.replace('"r"', '"  "'), "reason"),
        ("2026-01-01.toml", lambda text: text + "[", "2026-01-01.toml"),
        ("newest.toml", lambda text: text, "newest.toml"),
    ],
)
def test_a_planted_file_without_a_title_or_a_date_is_caught(
    tmp_path: Path, name: str, spoil: Callable[[str], str], told: str
) -> None:
    (tmp_path / "2025-01-01.toml").write_text(GOOD, "utf-8")
    assert untitled(tmp_path / "2025-01-01.toml") == []
    (tmp_path / name).write_text(spoil(GOOD), "utf-8")
    assert any(told in found for found in untitled(tmp_path / name))


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ("rate = 0.1\n", "months"),
        ('rate = "much"\nmonths = 1\n', "rate"),
        ("rate = 0.1\nmonths = 1\nmonth = 2\n", "month: read by nobody"),
    ],
)
def test_planted_terms_that_do_not_fit_are_caught(tmp_path: Path, terms: str, told: str) -> None:
    path = tmp_path / "2025-01-01.toml"
    path.write_text(GOOD, "utf-8")
    assert misfits(Fee, read_version(path, "toy/fee").terms) == []
    path.write_text(GOOD.partition("[terms]\n")[0] + "[terms]\n" + terms, "utf-8")
    assert any(told in found for found in misfits(Fee, read_version(path, "toy/fee").terms))
