"""The table of constituents in the forms that the page has had."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from sp500tui.errors import SourceError
from sp500tui.model import Constituent
from sp500tui.sources.wikipedia import table
from sp500tui.sources.wikipedia.table import parse_page
from tests.support.market.recordings import RECORDINGS, own_and_real

PAGES = [
    *own_and_real("wikipedia/new_style.html", "wikipedia/wikipedia_sp500_2024-10_rev1250356709.html"),
    *own_and_real(
        "wikipedia/old_style.html", "wikipedia/wikipedia_sp500_2022-11-10_rev1120976287_parsoid.html"
    ),
]

FEW = 20
"""Constituents of the pages of tests that hold for any number of them."""

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


@pytest.fixture
def few_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page with `FEW` constituents is a complete one."""
    monkeypatch.setattr(table, "FEWEST", FEW)


@functools.cache
def usual() -> tuple[Constituent, ...]:
    """The constituents of the page with the usual headers; a test reads them with `few_suffice`."""
    return parse_page(page(rows(FEW))).constituents


def test_every_line_becomes_a_constituent() -> None:
    found = parse_page(page(rows())).constituents
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


@pytest.mark.usefixtures("few_suffice")
def test_columns_are_found_by_their_headers_in_any_order() -> None:
    moved = [5, 3, 0, 1, 2, 7, 6, 4]
    headers = ["SEC filings", *(HEADERS[i] for i in moved)]
    lines = [["reports", *(cells[i] for i in moved)] for cells in rows(FEW)]
    assert parse_page(page(lines, headers)).constituents == usual()


@pytest.mark.usefixtures("few_suffice")
def test_older_names_of_columns_and_missing_optional_ones_are_known() -> None:
    headers = [
        "Ticker[a]",
        "Company",
        "Sector",
        "Sub-Industry",
        "Headquarters",
        "Date first added<sup>[2]</sup>",
    ]
    found = parse_page(page([cells[:6] for cells in rows(FEW)], headers)).constituents
    assert (found[0].cik, found[0].founded, found[0].date_added) == ("", "", date(2001, 2, 3))


@pytest.mark.usefixtures("few_suffice")
def test_footnotes_control_characters_and_white_space_are_cleaned() -> None:
    lines = rows(FEW)
    lines[0] = [
        " BRK.B\xa0\n",
        "Berk&#x1b;[31mshire\n <i>Hath&amp;away</i><sup>[<span>12</span>]</sup>",
        *lines[0][2:],
    ]
    lines[0][5] = "1999-13-40"
    lines[0][6] = "n/a"
    first = parse_page(page(lines)).constituents[0]
    assert first.symbol == "BRK.B"
    assert first.name == "Berk[31mshire Hath&away"
    assert (first.date_added, first.cik) == (None, "")


def test_a_symbol_counts_once_and_unreadable_lines_do_not() -> None:
    lines = rows()
    lines += [lines[0], ["<script>", "Evil", "", ""], [], ["ABC"], ["", "No symbol", "", ""]]
    found = parse_page(page(lines)).constituents
    assert len(found) == 503


SENSELESS = {
    "empty": ("", "no table of constituents"),
    "other page": ("<html>rate limited</html>", "no table of constituents"),
    "no table": ('<div id="constituents"></div>', "no table of constituents"),
    "no row": ('<table id="constituents"></table>', "no table of constituents"),
    "no symbol": (page(rows(), ["Security", "Sector", "Sub-Industry"]), "no column 'symbol'"),
    "no sub-industry": (page(rows(), ["Symbol", "Security", "Sector"]), "no column 'sub industry'"),
    "399 lines": (page(rows(399)), "has 399 usable lines"),
    "601 lines": (page(rows(601)), "has 601 usable lines"),
    "no line": (page([]), "has 0 usable lines"),
    "binary": (b"\x00\xff\xfe<table", "no table of constituents"),
}


@pytest.mark.parametrize(("html", "words"), SENSELESS.values(), ids=SENSELESS.keys())
def test_an_invalid_page_is_an_error(html: str | bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        parse_page(html)


@pytest.mark.usefixtures("few_suffice")
def test_text_is_read_as_printed() -> None:
    lines = rows(FEW)
    lines[0][1] = "<a>Vistra Corp</a>."
    lines[0][4] = '<a>Milwaukee</a>, <a>Wisconsin</a><sup class="reference"><a>[note 12]</a></sup>'
    lines[1][1] = "<i>Lamb</i>&nbsp;Weston<!-- renamed? --> (<b>LW</b>)"
    lines[1][4] = "Eagle,<br>Idaho<style>.x{}</style><span style='display: none'>0042</span>"
    lines[2][1] = "Moody<b>'</b>s<sup class='reference'>[<a>citation needed</a>]</sup>"
    lines[2][4] = "<div>Paris,</div><div>France</div>"
    lines[3][1] = "M<sup>2</sup>&shy;Co\u200b"
    found = parse_page(page(lines)).constituents
    assert [(line.name, line.headquarters) for line in found[:3]] == [
        ("Vistra Corp.", "Milwaukee, Wisconsin"),
        ("Lamb Weston (LW)", "Eagle, Idaho"),
        ("Moody's", "Paris, France"),
    ]
    assert found[3].name == "M2Co"


@pytest.mark.usefixtures("few_suffice")
@pytest.mark.parametrize(
    ("position", "headers"),
    [
        (0, ("Ticker symbol", "Ticker\u00a0Symbol", "TICKER", "Stock symbol", "Symbol [a]", "Symbol:")),
        (1, ("Company name", "Company", "Security name")),
        (2, ("GICS<br>Sector", "Sector", "GICS\u2011sector")),
        (3, ("GICS sub\u2010industry", "Sub industry", "GICS Subindustry", "GICS Sub\u2013Industry")),
        (4, ("Address of Headquarters", "Headquarters")),
        (5, ("Date of addition", "Date first added", "Date added[3]")),
        (6, ("Central Index Key", "Central Index Key (CIK)", "CIK number")),
        (7, ("Year founded", "Founded")),
    ],
)
def test_headers_are_known_by_many_names(position: int, headers: tuple[str, ...]) -> None:
    for header in headers:
        named = [*HEADERS[:position], header, *HEADERS[position + 1 :]]
        assert parse_page(page(rows(FEW), named)).constituents == usual(), header


@pytest.mark.usefixtures("few_suffice")
@pytest.mark.parametrize(
    "attributes", ["", 'id="moved"', 'class="wikitable sortable"', 'id="constituents-1"'], ids=repr
)
def test_the_table_is_found_anywhere_on_the_page(attributes: str) -> None:
    html = page(rows(FEW), attributes=attributes)
    decoys = page(rows(4), ["Ticker", "Security", "Sector", "Sub-Industry"], 'id="changes"')
    assert parse_page(decoys + html).constituents == usual()
    assert parse_page(html + page(rows(4))).constituents == usual()


@pytest.mark.usefixtures("few_suffice")
def test_a_table_inside_another_is_read_and_its_rows_count_once() -> None:
    inner = page(rows(FEW), attributes="").partition("</table>")[2].removesuffix("</html>")
    html = f"<table><tr><td>Contents</td></tr><tr><td>{inner}</td></tr></table>"
    assert parse_page(html).constituents == usual()


@pytest.mark.usefixtures("few_suffice")
def test_headers_may_stand_below_a_title_and_span_columns() -> None:
    head = "".join(f"<th>{header}</th>" for header in HEADERS[2:])
    lines = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in [cells[0], "logo", *cells[1:]]) + "</tr>"
        for cells in rows(FEW)
    )
    html = (
        "<table><thead><tr><th colspan='9'>S&amp;P 500 component stocks</th></tr>"
        f"<tr><th colspan='2'>Symbol</th><th>Security</th>{head}</tr></thead><tbody>{lines}</tbody></table>"
    )
    assert parse_page(html).constituents == usual()


@pytest.mark.usefixtures("few_suffice")
@pytest.mark.parametrize("symbol", ["BRK-B", "BRK/B", "NYSE: BRK.B", "NYSE:\u00a0BRK.B", "brk.b"])
def test_a_symbol_is_read_however_it_is_written(symbol: str) -> None:
    lines = rows(FEW)
    lines[0][0] = symbol
    assert parse_page(page(lines)).constituents[0].symbol == "BRK.B"


def table_of(head: str, lines: Sequence[str]) -> str:
    return (
        f"<table id='constituents'><tr>{head}</tr>"
        + "".join(f"<tr>{line}</tr>" for line in lines)
        + "</table>"
    )


HEAD = "".join(f"<th>{header}</th>" for header in HEADERS)


def test_cells_that_span_rows_belong_to_each_of_them() -> None:
    # given companies of one sector and town whose cells were merged
    lines = []
    for number in range(503):
        cells = [f"<td>{cell}</td>" for cell in row(number)]
        if number % 100 == 0:
            cells[2] = f"<td rowspan='{min(100, 503 - number)}'>Energy</td>"
            cells[4] = f"<td rowspan='{min(100, 503 - number)}'>Houston, Texas</td>"
        else:
            cells[2] = cells[4] = ""
        lines.append("".join(cells))
    assert parse_page(table_of(HEAD, lines)).constituents == parse_page(page(rows())).constituents


@pytest.mark.usefixtures("few_suffice")
def test_headers_in_two_rows_are_read_from_the_lower_one() -> None:
    upper = "".join(f"<th rowspan='2'>{header}</th>" for header in HEADERS)
    upper = upper.replace(
        f"<th rowspan='2'>{HEADERS[2]}</th><th rowspan='2'>{HEADERS[3]}</th>", "<th colspan='2'>GICS</th>"
    )
    lines = [
        "<th>Sector</th><th>Sub-Industry</th>",
        *("".join(f"<td>{cell}</td>" for cell in cells) for cells in rows(FEW)),
    ]
    assert parse_page(table_of(upper, lines)).constituents == usual()


@pytest.mark.usefixtures("few_suffice")
def test_headers_and_titles_among_the_rows_are_no_companies() -> None:
    lines = ["".join(f"<td>{cell}</td>" for cell in cells) for cells in rows(FEW)]
    lines[10:10] = [HEAD, "<td colspan='8'><b>Energy</b></td>"]
    lines += [HEAD, "<th colspan='8'>503 companies</th>"]
    parsed = parse_page(table_of(HEAD, lines))
    assert parsed.constituents == usual()
    assert parsed.unreadable == ()


@pytest.mark.usefixtures("few_suffice")
@pytest.mark.parametrize(
    "symbol",
    [
        "BRK B",
        "BRK .B",
        "BRK\u2011B",
        "BRK\u2013B",
        "BRK.B*",
        "BRK.B \u2020",
        "BRK.B[lower-alpha 1]",
        "Nasdaq: brk/b",
    ],
)
def test_a_share_class_is_read_after_any_separator_and_before_any_mark(symbol: str) -> None:
    lines = rows(FEW)
    lines[0][0] = symbol
    assert parse_page(page(lines)).constituents[0].symbol == "BRK.B"


@pytest.mark.usefixtures("few_suffice")
def test_two_symbols_in_one_cell_are_named_and_not_joined() -> None:
    lines = rows(FEW + 1)
    lines[0][0] = "FOX<br>FOXA"
    parsed = parse_page(page(lines))
    assert len(parsed.constituents) == FEW
    assert parsed.unreadable == ("FOX FOXA Company 0",)


@pytest.mark.usefixtures("few_suffice")
@pytest.mark.parametrize(
    "written", ["2001-02-03", "February 3, 2001", "3 February 2001", "2001-02-03 (1999)"]
)
def test_the_date_of_addition_may_be_written_in_words(written: str) -> None:
    lines = rows(FEW)
    lines[0][5] = written
    assert parse_page(page(lines)).constituents[0].date_added == date(2001, 2, 3)


def test_rows_that_cannot_be_read_are_named() -> None:
    lines = rows()
    lines[4][0] = "???"
    lines[5][1] = ""
    lines += [[], ["", "", "", ""], lines[0]]
    parsed = parse_page(page(lines))
    assert len(parsed.constituents) == 501
    assert parsed.unreadable == ("??? Company 4", "S5")


@pytest.mark.parametrize("path", PAGES)
def test_recorded_pages_have_no_blank_before_punctuation(path: Path) -> None:
    parsed = parse_page(path.read_bytes())
    assert parsed.unreadable == ()
    for line in parsed.constituents:
        assert not re.search(r" [,.;:)]|\( ", f"{line.name}|{line.headquarters}|{line.founded}"), line


@pytest.mark.parametrize("path", PAGES)
def test_recorded_pages_give_every_constituent_completely(path: Path) -> None:
    found = parse_page(path.read_bytes()).constituents
    own = path.is_relative_to(RECORDINGS)
    assert len(found) == (420 if own else 503)
    expected = {"ZAAA", "ZAAH.B"} if own else {"AAPL", "BRK.B", "BF.B", "GOOG", "GOOGL"}
    assert {line.symbol for line in found} >= expected
    assert len({line.sector for line in found}) == 11
    assert all(
        line.name and line.sub_industry and line.headquarters and len(line.cik) == 10 for line in found
    )
    assert sum(line.date_added is not None for line in found) >= 0.89 * len(found)
