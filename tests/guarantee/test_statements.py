"""A partner's month adds up to its events to the cent, and a list of the partner's own is held against it."""

from __future__ import annotations

import csv
import io
import itertools
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from libs.events.catalogue import CATALOGUE
from libs.kernel.money import Money
from services.guarantee.api.statements import ROWS
from services.guarantee.domain.bordereau import Line, guarded, lines_csv, rows_of
from services.guarantee.domain.ledger import BOOKED
from services.guarantee.main import service
from tests.guarantee.stories import AGREED, CLAIM_DAY, DAY, DUE, PARTNER, Story, admit, cny
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
BASE = "/v1/partners/city-guarantee"
CAPPED = {
    **AGREED,
    "cap": {"rate": "0.9"},
    "legs": [{"party": "reguarantor", "working_days": 30, "proof": "receipt"}],
}
BATCH = {**AGREED, "code": "batch", "binding": {"timing": "filed_after_disbursement", "file_days": 20}}
# Asked, quoted, held, given back, refused, signed for, overdue, capped: nothing of it moves between the parties.
NOT_BOOKED = {
    *("cover.requested", "quote.received", "capacity.reserved", "capacity.released", "claim.refused", "loss.notified"),
    *("guarantor.signed", "counter_guarantee.perfected", "disbursement_notice.issued", "reguarantee.overdue"),
    *("cap.reached", "cover.expiring", "cover.endangered", "cover.mended"),
}


def test_every_event_with_money_is_booked_or_known_not_to_be() -> None:
    with_money = {
        kind.name
        for kind in CATALOGUE.values()
        if kind.topic == "guarantee" and "Money" in str(kind.body.__annotations__.values())
    }
    booked = {kind.name for kind in CATALOGUE.values() if kind.body in BOOKED}
    assert with_money - booked - {"recovery.shared"} == NOT_BOOKED
    for name in booked:  # what a statement shows can be handed in again
        row = {"kind": name, "reference": "r-1", "amount": "1", "currency": "CNY", "day": "2025-09-01"}
        assert ROWS.validate_python([row])[0].kind == name


async def lived(b: Bench) -> None:
    """Two covers: one claimed, paid, reimbursed and recovered on, one repaid; through three months and more."""
    lost, good = Story(name="lost"), Story(name="good")
    await admit(b, CAPPED)
    await good.bind(b)
    await b.react(good.disbursed(), good.repaid("0.01", "99999.99"), on=DAY)
    due = await lost.accept_claim(b)
    premium = {"amount": {"amount": "800.00", "currency": "CNY"}}
    paid = await b.post(f"/v1/facilities/{lost.facility_id}/premium-payments", premium, role="core_bank")
    assert paid.status_code == 200, paid.text
    await b.tick(due)
    await b.answer("partner.claim_payment", 200, paid=True, receipt="r-1")
    claim = (await b.get(f"/v1/facilities/{lost.facility_id}")).json()["claims"][0]["claim_id"]
    body = {"party": "reguarantor", "amount": {"amount": "20999.99", "currency": "CNY"}, "receipt": "r-2"}
    path = f"/v1/facilities/{lost.facility_id}/claims/{claim}/reimbursements"
    assert (await b.post(path, body, role="customer_manager")).status_code == 200
    await b.react(lost.recovered("33333.33"), good.repaid("99999.99", "0"), good.closed("repaid"), on=due)


def by_month(bodies: Iterable[tuple[date, Any]]) -> dict[str, dict[tuple[str, str], tuple[int, Decimal]]]:
    """What the events themselves add up to, by month, kind and party: this test's own reading of them."""
    sums: dict[str, dict[tuple[str, str], list[Decimal]]] = defaultdict(lambda: defaultdict(list))
    sum_of = {"cover.bound": "guaranteed", "claim.filed": "claimed"}
    skipped = NOT_BOOKED | {kind.name for kind in CATALOGUE.values() if "Money" not in str(kind.body.__annotations__)}
    skipped -= {"recovery.shared"}
    for on, body in bodies:
        name = next(kind.name for kind in CATALOGUE.values() if kind.body is type(body))
        parts = getattr(body, "parts", ()) if name == "recovery.shared" else ()
        for part in parts:
            sums[f"{on:%Y-%m}"][name, part.party].append(part.amount.amount)
        if not parts and name not in skipped:
            party = getattr(body, "party", "")
            sums[f"{on:%Y-%m}"][name, party].append(getattr(body, sum_of.get(name, "amount")).amount)
    return {
        month: {key: (len(amounts), sum(amounts, Decimal(0))) for key, amounts in found.items()}
        for month, found in sums.items()
    }


async def dated(b: Bench) -> list[tuple[date, Any]]:
    async with b.parts.engine.connect() as conn:
        rows = await conn.exec_driver_sql("SELECT headers ->> 'ce_businessdate' FROM outbox ORDER BY id")
        days = [date.fromisoformat(day) for (day,) in rows]
    return list(zip(days, await b.published(), strict=True))


async def test_the_statements_of_a_life_are_the_sums_of_its_events(bench: Benches) -> None:
    async with bench(service) as b:
        await lived(b)
        expected = by_month(await dated(b))
        assert len(expected) > 2
        balances = []
        for month, figures in sorted(expected.items()):
            (each,) = (await b.get(f"{BASE}/statements/{month}")).json()["agreements"]
            shown = {(f["kind"], f["party"]): (f["number"], Decimal(f["amount"]["amount"])) for f in each["figures"]}
            assert shown == figures
            balances.append((each["opening"], each["closing"]))
        assert balances[0][0]["covers"] == 0
        assert [closing["covers"] for _, closing in balances] == [2, *[2] * (len(balances) - 2), 1]
        assert balances[0][1]["balance"]["amount"] == "135999.99"  # 80 % of 70,000 and of 99,999.99, run down
        assert all(later[0] == earlier[1] for earlier, later in itertools.pairwise(balances))
        # The cap's book is the same read two ways: moved event by event, and added up from the ledger.
        (cap,) = each["caps"]
        view = (await b.get(f"/v1/facilities/{Story(name='lost').facility_id}")).json()
        assert (cap["book"], cap["used"]["amount"]) == ("reg-4321/2025", view["claims"][0]["counted"]["amount"])
        assert cap["cap"]["amount"] == "144000.00"  # 0.9 of what was disbursed under guarantee


async def test_a_statement_as_csv_can_be_handed_in_again_and_a_line_of_another_month_is_named_so(
    bench: Benches,
) -> None:
    async with bench(service) as b:
        await lived(b)
        answer = await b.get(f"{BASE}/statements/2025-09/csv")
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert {"agreement": "reg-4321", "kind": "cover.bound", "party": "", "number": "2"}.items() <= rows[3].items()
        text = (await b.get(f"{BASE}/statements/2025-09/lines/csv")).text
        listed = await hand_in(b, text, about="statement")
        (compared,) = listed["compared"]
        assert (compared["against"], compared["findings"]) == ("bank", {})
        assert compared["agree"] == listed["rows"] == len(text.splitlines()) - 1 == 6
        paged = (await b.get(f"{BASE}/statements/2025-09/lines?limit=4")).json()
        rest = (await b.get(f"{BASE}/statements/2025-09/lines?cursor={paged['next']}")).json()
        assert len(paged["items"]) + len(rest["items"]) == 6
        text = (await b.get(f"{BASE}/statements/2026-03/lines/csv")).text
        claim = next(row for row in csv.reader(io.StringIO(text)) if row[0] == "claim.filed")
        listed = await hand_in(b, rows_as_csv([[*claim[:5], "2025-09-30", ""]]), about="statement")
        assert listed["compared"][0]["findings"] == {"date": 1, "missing": 6}
        page = (await b.get(f"{BASE}/lists/statement/2025-09/differences")).json()
        wrong = page["items"][0]
        assert (wrong["cause"], wrong["line"], wrong["our_day"]) == ("other_month", 1, CLAIM_DAY.isoformat())


async def hand_in(b: Bench, text: str, *, about: str = "filings", party: str = "") -> dict[str, Any]:
    headers = {**b.bearer("li", "customer_manager"), "idempotency-key": str(uuid.uuid4())}
    query = f"?party={party}" if party else ""
    answer = await b.http.post(
        f"{BASE}/lists/{about}/2025-09{query}", content=text, headers={**headers, "content-type": "text/csv"}
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def rows_as_csv(rows: Iterable[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([["kind", "reference", "party", "amount", "currency", "day", "state"], *rows])
    return text.getvalue()


async def test_every_planted_break_of_a_filing_list_is_found_between_any_two_sides(bench: Benches) -> None:
    stories = [Story(name=f"s{n}", agreement="batch", amount=str(1000 + n)) for n in range(12)]
    async with bench(service) as b:
        await admit(b, BATCH)
        for story in stories:
            await b.react(story.submitted(), story.rated(), story.disbursed(), on=DAY)
        for story in stories[:-1]:  # the last one is never filed, so it is removed
            body = {"loan_id": story.loan_id}
            path = f"/v1/facilities/{story.facility_id}/filings"
            assert (await b.post(path, body, role="customer_manager")).status_code == 200
        await b.tick(DAY + timedelta(days=21))
        rows = [["cover.filed", s.loan_id, "", f"{s.amount}.00", "CNY", DAY.isoformat(), ""] for s in stories]
        clean = await hand_in(b, rows_as_csv(rows[:-1]), party="reguarantor")
        assert [(c["against"], c["agree"], c["findings"]) for c in clean["compared"]] == [("bank", 11, {})]
        planted = [list(row) for row in rows]  # the last is listed though it was removed
        planted[1][3] = "1001.01"
        planted[2][5] = "2025-09-02"
        planted[3][5] = "2025-09-22"  # a day after the last one
        planted[4][6] = "removed"
        planted[5][1] = Story(name="typo").loan_id
        planted[6][3] = "16.00"
        planted.append(list(planted[7]))
        planted.append(["cover.filed", "never-heard-of", "", "5.00", "CNY", "2025-09-03", ""])
        del planted[0]
        found = await hand_in(b, rows_as_csv(planted))
        expected = {
            ("missing", "not_listed", stories[0].loan_id),
            ("amount", "rounding", stories[1].loan_id),
            ("date", "other_day", stories[2].loan_id),
            ("late", "after_the_last_day", stories[3].loan_id),
            ("removed", "removed_by_them", stories[4].loan_id),
            ("missing", "other_reference", stories[5].loan_id),
            ("unknown", "other_reference", Story(name="typo").loan_id),
            ("amount", "other_amount", stories[6].loan_id),
            ("doubled", "listed_twice", stories[7].loan_id),
            ("removed", "removed_by_us", stories[11].loan_id),
            ("unknown", "not_in_the_books", "never-heard-of"),
        }
        assert {each["against"]: each["agree"] for each in found["compared"]} == {"bank": 4, "reguarantor": 4}
        for against in ("bank", "reguarantor"):  # the re-guarantor's list is as clean as our books
            page = (await b.get(f"{BASE}/lists/filings/2025-09/differences?against={against}")).json()
            assert {(d["finding"], d["cause"], d["reference"]) for d in page["items"]} == expected
            assert len(page["items"]) == len(expected)
        later = await hand_in(b, rows_as_csv(rows[:-1]))  # corrected, and handed in again
        assert [c["findings"] for c in later["compared"]] == [{}, {}]


async def test_a_partner_sees_its_own_month_alone(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await b.post("/v1/partners", {**PARTNER, "partner_id": "other"}, role="admin")
        for path in ("statements/2025-09", "statements/2025-09/csv", "statements/2025-09/lines/csv"):
            for party, status in (("city-guarantee", 200), ("other", 404)):
                answer = await b.http.get(
                    f"{BASE}/{path}", headers=b.bearer("p", "partner", party=party, scope="statements.read")
                )
                assert answer.status_code == status, path
        assert (await b.get(f"{BASE}/statements/2025-09", org="b1")).json()["code"] == "head_office_needed"


async def test_what_is_no_list_is_refused(bench: Benches) -> None:
    heading = b"kind,reference,party,amount,currency,day\n"
    texts = (b"", b"kind,reference\n", heading + b"x\n", heading + b'"', heading + b"x,y,,1,CNY,2025-09-01", b"\xff")
    async with bench(service) as b:
        await admit(b, AGREED)
        for content, mime in (*((text, "text/csv") for text in texts), (b"[{}]", "application/json"), (b"{", "x/y")):
            headers = {**b.bearer("li", "customer_manager"), "idempotency-key": "k", "content-type": mime}
            answer = await b.http.post(f"{BASE}/lists/filings/2025-09", content=content, headers=headers)
            assert answer.status_code == 422, answer.text


def test_no_cell_is_taken_for_a_formula() -> None:
    line = Line(place="1", kind="@x", reference='=HYPERLINK("x")', party="+1", amount=cny("1"), day=DUE)
    text = lines_csv([line])
    assert next(csv.reader([text.splitlines()[1]]))[:3] == ["'@x", '\'=HYPERLINK("x")', "'+1"]
    assert next(rows_of(text))["reference"] == line.reference
    assert guarded("1.00") == "1.00"
    assert Money(Decimal(1), "CNY") == line.amount
