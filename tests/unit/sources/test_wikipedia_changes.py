"""Wikipedia's table of changes, and the memberships derived from it."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.model import Constituent, IndexChange, Membership
from sp500tui.sources.wikipedia.changes import parse_changes
from sp500tui.sources.wikipedia.dates import parse_written_date
from sp500tui.sources.wikipedia.memberships import FIRST_DAY, derive_memberships, members_on
from sp500tui.sources.wikipedia.table import parse_page
from tests.support.market.recordings import REAL_RECORDINGS, needs_real, own_and_real

HEAD = """<tr><th rowspan="2">Effective Date</th><th colspan="2">Added</th><th colspan="2">Removed</th>
<th rowspan="2">Reason</th></tr><tr><th>Ticker</th><th>Security</th><th>Ticker</th><th>Security</th></tr>"""
CIK = "0000000001"
OLD = REAL_RECORDINGS / "wikipedia/wikipedia_sp500_2022-11-10_rev1120976287_parsoid.html"
NEW = REAL_RECORDINGS / "wikipedia/wikipedia_sp500_2024-10_rev1250356709.html"


def page(*rows: str, head: str = HEAD, identifier: str = "changes") -> str:
    return (
        f'<table id="{identifier}"><tbody>{head}{"".join(f"<tr>{row}</tr>" for row in rows)}</tbody></table>'
    )


def cells(*texts: str) -> str:
    return "".join(f"<td>{text}</td>" for text in texts)


def company(symbol: str, added: date | None = None, cik: str = CIK) -> Constituent:
    return Constituent(symbol, f"{symbol} Inc.", "Industrials", "Machinery", "", added, cik, "")


def change(
    day: date, added: str = "", removed: str = "", added_name: str = "", removed_name: str = ""
) -> IndexChange:
    return IndexChange(day, added, added_name or added, removed, removed_name or removed, "")


def listed(
    symbol: str, start: date, end: date | None = None, cik: str = "", source: str = "wikipedia"
) -> Membership:
    return Membership(symbol, cik, start, end, source)


@pytest.mark.parametrize(
    ("path", "count", "newest"),
    [
        pytest.param(OLD, 312, "ACGL", id="2022", marks=needs_real),
        pytest.param(NEW, 353, "", id="2024", marks=needs_real),
        pytest.param(*own_and_real("wikipedia/new_style.html", "")[0].values, 1, "ZAAA", id="own"),
    ],
)
def test_recorded_pages_are_read_whole(path: Path, count: int, newest: str) -> None:
    parsed = parse_changes(path.read_bytes())
    assert len(parsed.changes) == count
    assert parsed.unreadable == ()
    assert parsed.changes[0].added == newest
    assert all(each.added or each.removed for each in parsed.changes)
    assert all("[" not in each.reason for each in parsed.changes)


@needs_real
def test_the_members_of_an_earlier_day_are_those_of_the_page_of_that_day() -> None:
    # given the page of October 2024
    html = NEW.read_bytes()
    memberships = derive_memberships(parse_page(html).constituents, parse_changes(html).changes)
    found = {one.symbol for one in members_on(memberships, (), date(2022, 11, 9))}

    # then its members of November 2022 are the constituents of that month's page, except for later renames
    then = {constituent.symbol for constituent in parse_page(OLD.read_bytes()).constituents}
    assert then - found == {"ABC", "CDAY", "FISV", "FLT", "PEAK", "PKI", "RE", "WRK"}
    assert found - then == {"COR", "CPAY", "DAY", "DOC", "EG", "FI", "RVTY"}


def test_a_row_has_two_sides_of_which_one_may_be_empty() -> None:
    html = page(
        cells("May 7, 2026", "VEEV", "Veeva", "CTRA", "Coterra", "Size.<sup class='reference'>[4]</sup>"),
        cells("March 23, 2026", "", "", "NYSE: MTCH", "Match", ""),
        cells("July 02, 2007", "BRK-B", "Berkshire", "", "", ""),
    )
    first, second, third = parse_changes(html).changes
    assert first == IndexChange(date(2026, 5, 7), "VEEV", "Veeva", "CTRA", "Coterra", "Size.")
    assert (second.added, second.added_name, second.removed) == ("", "", "MTCH")
    assert (third.added, third.effective_date) == ("BRK.B", date(2007, 7, 2))


def test_a_date_may_span_rows_and_columns_may_have_moved() -> None:
    head = """<tr><th rowspan="2">Reason</th><th rowspan="2">Date</th><th colspan="2">Removed</th>
    <th colspan="2">Added</th></tr><tr><th>Symbol</th><th>Company</th><th>Symbol</th><th>Company</th></tr>"""
    spanning = '<td>A</td><td rowspan="2">1 June 2020</td>' + cells("AAA", "Aa", "BBB", "Bb")
    html = page(spanning, cells("B", "CCC", "Cc", "DDD", "Dd"), head=head)
    found = [
        (each.effective_date, each.added, each.removed, each.reason) for each in parse_changes(html).changes
    ]
    assert found == [(date(2020, 6, 1), "BBB", "AAA", "A"), (date(2020, 6, 1), "DDD", "CCC", "B")]


def test_rows_that_cannot_be_read_are_named_and_left_out() -> None:
    html = page(
        cells("soon", "AAA", "Aa", "", "", ""),
        cells("May 1, 2026", "", "", "", "", ""),
        cells("", "", "", "", "", ""),
    )
    parsed = parse_changes(html)
    assert parsed.changes == ()
    assert parsed.unreadable == ("soon AAA Aa", "May 1, 2026")


@pytest.mark.parametrize(
    "html", ["", "<p>", "<table></table>", page(cells("x"), head="<tr><th>Date</th></tr>"), b"\xff\x00"]
)
def test_a_page_without_the_table_has_no_changes(html: str | bytes) -> None:
    assert parse_changes(html).changes == ()


def test_the_table_is_found_by_its_columns_if_its_id_has_changed() -> None:
    assert (
        len(parse_changes(page(cells("May 7, 2026", "A", "Aa", "", "", ""), identifier="moved")).changes) == 1
    )


def test_the_table_is_found_by_its_columns_if_another_one_has_its_id() -> None:
    other = "<table id='changes'><tr><td>1</td></tr><tr><td>2</td></tr></table>"
    assert (
        len(parse_changes(other + page(cells("May 7, 2026", "A", "Aa", "", "", ""), identifier="x")).changes)
        == 1
    )


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("May 7, 2026", date(2026, 5, 7)),
        ("Sept. 3, 2001", date(2001, 9, 3)),
        ("7 May 2026", date(2026, 5, 7)),
        ("2026-05-07", date(2026, 5, 7)),
        ("2026-05-07 (added again on May 1, 2001)", date(2026, 5, 7)),
        ("February 30, 2020", None),
        ("Maybe 7, 2026", date(2026, 5, 7)),
        ("", None),
        ("2026", None),
    ],
)
def test_dates_are_read_as_they_are_written(text: str, day: date | None) -> None:
    assert parse_written_date(text) == day


D1, D2, D3, D4 = date(2001, 1, 1), date(2005, 1, 1), date(2010, 1, 1), date(2020, 1, 1)


@pytest.mark.parametrize(
    ("constituents", "changes", "expected"),
    [
        ([company("A", D1)], [], [listed("A", D1, cik=CIK)]),
        ([company("A")], [], [listed("A", FIRST_DAY, cik=CIK)]),
        ([company("A")], [change(D2, "A")], [listed("A", D2, cik=CIK)]),
        ([], [change(D2, removed="B")], [listed("B", FIRST_DAY, D2)]),
        ([], [change(D3, removed="B"), change(D1, "B")], [listed("B", D1, D3)]),
        (
            [company("A", D3)],
            [change(D3, "A"), change(D2, removed="A"), change(D1, "A")],
            [listed("A", D1, D2), listed("A", D3, cik=CIK)],
        ),
        # the ticker of another company, which had left before
        ([company("A", D3)], [change(D2, removed="A")], [listed("A", FIRST_DAY, D2), listed("A", D3, cik=CIK)]),
        # a company that returned, whose first addition is in the list
        ([company("A", D1)], [change(D2, removed="A")], [listed("A", FIRST_DAY, D2), listed("A", D2, cik=CIK)]),
        # a ticker that left twice, of which no addition is in the list
        ([], [change(D3, removed="A"), change(D1, removed="A")], [listed("A", FIRST_DAY, D1), listed("A", D1, D3)]),
        # a row that is in the list twice
        ([], [change(D3, removed="A"), change(D3, removed="A"), change(D1, "A")], [listed("A", D1, D3)]),
        # a ticker that passes from one company to another on one day, in two rows
        (
            [],
            [change(D3, removed="A"), change(D2, "A"), change(D2, removed="A"), change(D1, "A")],
            [listed("A", D1, D2), listed("A", D2, D3)],
        ),
        # renamed between its addition and its removal
        (
            [],
            [change(D4, removed="CBRE", removed_name="CBRE Group, Inc."), change(D2, "CBG", added_name="CBRE")],
            [listed("CBRE", D2, D4)],
        ),
        # renamed, and listed today under the new ticker
        ([company("META", D3)], [change(D3, "FB", added_name="Facebook")], [listed("META", D3, cik=CIK)]),
    ],
)  # fmt: skip
def test_memberships_follow_from_the_two_tables(
    constituents: list[Constituent], changes: list[IndexChange], expected: list[Membership]
) -> None:
    assert list(derive_memberships(constituents, changes)) == expected


SYMBOLS = st.sampled_from(["", "A", "B", "C"])
DAYS = st.sampled_from([D1, D2, D3, D4])


@given(
    st.dictionaries(st.sampled_from("ABC"), st.none() | DAYS, max_size=3),
    st.lists(st.builds(change, DAYS, SYMBOLS, removed=SYMBOLS), max_size=8),
)
def test_the_memberships_of_a_ticker_do_not_overlap(
    constituents: dict[str, date | None], changes: list[IndexChange]
) -> None:
    memberships = derive_memberships([company(*each) for each in constituents.items()], changes)
    for before, after in pairwise(memberships):
        if before.symbol == after.symbol:
            assert before.valid_to is not None
            assert before.valid_from < before.valid_to <= after.valid_from


@pytest.mark.parametrize("path", [pytest.param(OLD, marks=needs_real), pytest.param(NEW, marks=needs_real)])
def test_the_memberships_of_recorded_pages_are_distinct(path: Path) -> None:
    html = path.read_bytes()
    memberships = derive_memberships(parse_page(html).constituents, parse_changes(html).changes)
    assert len({(one.symbol, one.cik, one.valid_from) for one in memberships}) == len(memberships)


def test_a_company_is_a_member_from_its_first_day_to_the_one_before_its_last() -> None:
    one = listed("A", D1, D2)
    days = {day: len(members_on([one], (), day)) for day in (date(2000, 12, 31), D1, date(2004, 12, 31), D2)}
    assert list(days.values()) == [0, 1, 1, 0]


def test_a_renamed_company_has_the_ticker_of_the_day() -> None:
    # given a company that was seen under two tickers with one CIK
    stated = [listed("META", D1, cik="1")]
    observed = [
        listed("FB", D2, D3, cik="1", source="observed"),
        listed("META", D3, cik="1", source="observed"),
    ]
    for day, symbol in ((D2, "FB"), (D3, "META"), (D1, "META")):
        assert [one.symbol for one in members_on(stated, observed, day)] == [symbol]


def test_two_classes_of_one_company_are_not_a_rename() -> None:
    stated = [listed("GOOG", D1, cik="1"), listed("GOOGL", D1, cik="1")]
    observed = [
        listed("GOOG", D2, cik="1", source="observed"),
        listed("GOOGL", D2, cik="1", source="observed"),
    ]
    assert [one.symbol for one in members_on(stated, observed, D3)] == ["GOOG", "GOOGL"]


def test_an_observed_company_counts_unless_the_page_states_that_it_left() -> None:
    observed = [listed("A", D1, source="observed")]
    assert [one.symbol for one in members_on([], observed, D3)] == ["A"]
    assert members_on([listed("A", FIRST_DAY, D2)], observed, D3) == ()
