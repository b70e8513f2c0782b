"""docs/problems.md is the whole truth: every code in the source stands in it with its status, and no row is stale."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from libs.kernel import errors
from libs.runtime.etags import NotSeen, Stale
from libs.runtime.http import OutOfReach
from libs.runtime.problems import HTTP_CODES, TITLES
from libs.runtime.rates import TooMany
from services.guarantee.domain.claim import ClaimState
from tests.hostile.table import EVERYWHERE, documented, rows

ROOT = Path(__file__).resolve().parents[2]
REJECTIONS = (errors.Refused, errors.Invalid, errors.NotFound, errors.NotAllowed, OutOfReach, Stale, NotSeen, TooMany)
KINDS = {kind.__name__: kind.status for kind in REJECTIONS}
PROBLEMS = ("problem", "problem_body")
# A code put together from a word of the domain, and the words.
COMPOSED = {"claim_{}": [state.value for state in ClaimState]}
# Passed on as they are: these calls name no code of their own.
PASSED_ON = {"error.code", "HTTP_CODES.get(error.status_code, 'bad_request')", "code"}

Used = tuple[str, str, int]


def place_of(path: Path) -> str:
    """The heading under which a file's codes stand."""
    parts = path.relative_to(ROOT).parts
    return parts[1] if parts[0] == "services" else EVERYWHERE


def codes_in(source: str, place: str) -> Iterator[Used]:
    """(place, code, status) of every rejection raised and every problem answered in a source."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        name = node.func.id
        if name in KINDS:
            yield from ((place, code, KINDS[name]) for code in _codes(node.args[0]))
        elif name in PROBLEMS and ast.unparse(node.args[1]) not in PASSED_ON:
            status = ast.literal_eval(node.args[0])
            yield from ((place, code, status) for code in _codes(node.args[1]))


def _codes(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(value=str(code)):
            return [code]
        case ast.JoinedStr(values=parts):
            pattern = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
            return [pattern.format(word) for word in COMPOSED[pattern]]
    raise AssertionError(f"a code must be written where it is raised: {ast.unparse(node)}")


def used() -> set[Used]:
    """Every code of the project."""
    found = {(EVERYWHERE, code, status) for status, code in HTTP_CODES.items()}
    for path in (path for folder in ("libs", "services") for path in (ROOT / folder).rglob("*.py")):
        found |= set(codes_in(path.read_text("utf-8"), place_of(path)))
    return found


def test_every_code_is_documented_and_no_row_is_stale() -> None:
    told = {(row.place, row.code, row.status) for row in rows()}
    everywhere = {(code, status) for place, code, status in used() if place == EVERYWHERE}
    # What every service may answer needs no second row under the service that raises it, too.
    wanted = {use for use in used() if use[0] == EVERYWHERE or use[1:] not in everywhere}
    assert wanted - told == set(), "codes without a row in docs/problems.md"
    assert told - wanted == set(), "rows of docs/problems.md that no code answers"


def test_the_page_is_in_order_without_repeats_and_says_what_each_code_means() -> None:
    keys = [(row.place, row.code, row.status) for row in rows()]
    assert len(keys) == len(set(keys))
    for place in dict.fromkeys(place for place, _, _ in keys):
        codes = [(code, status) for at, code, status in keys if at == place]
        assert codes == sorted(codes), place
    assert all(len(row.meaning) >= 10 for row in rows())
    assert all(row.status in TITLES for row in rows())


def test_a_planted_code_is_found_and_a_computed_one_is_refused() -> None:
    source = 'raise Refused("too_late", day)\nreturn problem(503, "asleep")\nproblem_body(error.status, error.code)\n'
    assert list(codes_in(source, "rating")) == [("rating", "too_late", 409), ("rating", "asleep", 503)]
    composed = list(codes_in('raise Refused(f"claim_{claim.state}")', "guarantee"))
    assert ("guarantee", "claim_paid", 409) in composed
    try:
        list(codes_in("raise Refused(code_of(x))", "rating"))
    except AssertionError as error:
        assert "written where it is raised" in str(error)  # noqa: PT017 - the message is the point
    else:
        raise AssertionError("a computed code passed")


def test_a_service_answers_its_own_codes_and_everybodys_only() -> None:
    assert (409, "price_below_reserve") in documented("collateral")
    assert (409, "price_below_reserve") not in documented("rating")
    assert (413, "body_too_large") in documented("rating")
