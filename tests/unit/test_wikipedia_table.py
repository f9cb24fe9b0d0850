"""The table of constituents, whatever the page looks like this year."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from sp500tui.domain import SourceError
from sp500tui.sources.wikipedia import parse_constituents

RECORDINGS = Path(__file__).parents[2] / ".." / "shared" / "recordings" / "wikipedia"
needs_recordings = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recorded pages beside the project")

HEADERS = (
    "Symbol",
    "Security",
    '<a href="/wiki/GICS">GICS</a> Sector',
    "GICS Sub-Industry",
    "Headquarters Location",
    "Date added",
    "CIK",
    "Founded",
)


def row(number: int) -> list[str]:
    return [
        f"<a>S{number}</a>\n",
        f"Company {number}",
        "Energy",
        "Oil",
        "Houston, Texas",
        "2001-02-03",
        f"{number}",
        "1881/1894 (1980)",
    ]


def page(
    rows: Sequence[Sequence[str]], headers: Sequence[str] = HEADERS, attributes: str = 'id="constituents"'
) -> str:
    head = "".join(f"<th>{header}</th>" for header in headers)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>" for cells in rows)
    table = f"<table {attributes}><tbody><tr>{head}</tr>{lines}</tbody></table>"
    return f"<html><table><tr><td>other</td></tr></table>{table}</html>"


def rows(count: int = 503) -> list[list[str]]:
    return [row(number) for number in range(count)]


def test_every_line_becomes_a_constituent() -> None:
    found = parse_constituents(page(rows()))
    assert len(found) == 503
    third = found[2]
    assert (third.symbol, third.name, third.sector, third.sub_industry) == (
        "S2",
        "Company 2",
        "Energy",
        "Oil",
    )
    assert (third.headquarters, third.cik, third.founded) == (
        "Houston, Texas",
        "0000000002",
        "1881/1894 (1980)",
    )
    assert third.date_added == date(2001, 2, 3)


def test_columns_are_found_by_their_headers_in_any_order() -> None:
    moved = [5, 3, 0, 1, 2, 7, 6, 4]
    headers = ["SEC filings", *(HEADERS[i] for i in moved)]
    lines = [["reports", *(cells[i] for i in moved)] for cells in rows()]
    assert parse_constituents(page(lines, headers)) == parse_constituents(page(rows()))


def test_older_names_of_columns_and_missing_optional_ones_are_known() -> None:
    headers = [
        "Ticker[a]",
        "Company",
        "Sector",
        "Sub-Industry",
        "Headquarters",
        "Date first added<sup>[2]</sup>",
    ]
    found = parse_constituents(page([cells[:6] for cells in rows()], headers))
    assert (found[0].cik, found[0].founded, found[0].date_added) == ("", "", date(2001, 2, 3))


def test_footnotes_control_characters_and_white_space_are_cleaned() -> None:
    lines = rows()
    lines[0] = [
        " BRK.B\xa0\n",
        "Berk&#x1b;[31mshire\n <i>Hath&amp;away</i><sup>[<span>12</span>]</sup>",
        *lines[0][2:],
    ]
    lines[0][5] = "1999-13-40"
    lines[0][6] = "n/a"
    first = parse_constituents(page(lines))[0]
    assert first.symbol == "BRK.B"
    assert first.name == "Berk[31mshire Hath&away"
    assert (first.date_added, first.cik) == (None, "")


def test_a_symbol_counts_once_and_unreadable_lines_do_not() -> None:
    lines = rows()
    lines += [lines[0], ["<script>", "Evil", "", ""], [], ["ABC"], ["", "No symbol", "", ""]]
    found = parse_constituents(page(lines))
    assert len(found) == 503


SENSELESS = {
    "empty": ("", "no table of constituents"),
    "other page": ("<html>rate limited</html>", "no table of constituents"),
    "moved": (page(rows(), attributes='id="moved"'), "no table of constituents"),
    "no table": ('<div id="constituents"></div>', "no table of constituents"),
    "no row": ('<table id="constituents"></table>', "no column 'symbol'"),
    "no sub-industry": (page(rows(), ["Symbol", "Security", "Sector"]), "no column 'sub industry'"),
    "399 lines": (page(rows(399)), "has 399 usable lines"),
    "601 lines": (page(rows(601)), "has 601 usable lines"),
    "no line": (page([]), "has 0 usable lines"),
    "binary": (b"\x00\xff\xfe<table", "no table of constituents"),
}


@pytest.mark.parametrize(("html", "words"), SENSELESS.values(), ids=SENSELESS.keys())
def test_a_page_that_makes_no_sense_is_an_error(html: str | bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        parse_constituents(html)


@needs_recordings
@pytest.mark.parametrize(
    "name",
    ["wikipedia_sp500_2022-11-10_rev1120976287_parsoid.html", "wikipedia_sp500_2024-10_rev1250356709.html"],
)
def test_recorded_pages_give_exactly_503_complete_constituents(name: str) -> None:
    found = parse_constituents((RECORDINGS / name).read_bytes())
    assert len(found) == 503
    assert {line.symbol for line in found} >= {"AAPL", "BRK.B", "BF.B", "GOOG", "GOOGL"}
    assert len({line.sector for line in found}) == 11
    assert all(
        line.name and line.sub_industry and line.headquarters and len(line.cik) == 10 for line in found
    )
    assert sum(line.date_added is not None for line in found) >= 450
