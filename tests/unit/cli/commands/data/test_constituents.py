"""`sp500tui constituents`, on an invented list."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from sp500tui.cli import main as cli
from sp500tui.errors import ExitCode
from sp500tui.model import IndexChange
from sp500tui.sources.wikipedia.client import ConstituentList
from tests.unit.cli.commands.data.fake_sources import NOW, a_constituent, answer_with


class TestConstituents:
    @pytest.fixture(autouse=True)
    def a_list(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = ConstituentList(
            (a_constituent("BRK.B", "=1+1\x1b"), a_constituent("AAPL")), "cache", NOW, "the list of yesterday"
        )
        answer_with(monkeypatch, wikipedia=SimpleNamespace(load=lambda: found))

    def test_json_is_an_array_of_whole_objects(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["constituents", "--json"]) == ExitCode.OK
        captured = capsys.readouterr()
        records = json.loads(captured.out)
        assert list(records[0]) == [
            "symbol",
            "name",
            "sector",
            "sub_industry",
            "headquarters",
            "date_added",
            "cik",
            "founded",
        ]
        assert (records[1]["symbol"], records[1]["date_added"], records[1]["cik"]) == (
            "AAPL",
            "2001-08-07",
            "0001136869",
        )
        assert "the list of yesterday" in captured.err

    def test_csv_holds_no_formula(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["constituents", "--csv"]) == ExitCode.OK
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert rows[0]["name"] == r"'=1+1\x1b"
        assert rows[1]["headquarters"] == "Houston, Texas"

    def test_text_is_aligned_and_clean(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["constituents"]) == ExitCode.OK
        assert capsys.readouterr().out.splitlines() == [
            r"BRK.B  =1+1\x1b  Energy  Oil",
            "AAPL   Company   Energy  Oil",
        ]


class TestMembersOfADay:
    @pytest.fixture(autouse=True)
    def a_list(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        change = IndexChange(date(2020, 6, 1), "AAPL", "Apple", "OLD", "Old One", "")
        found = ConstituentList((a_constituent("AAPL"),), "wikipedia", NOW, "", changes=(change,))
        answer_with(monkeypatch, wikipedia=SimpleNamespace(load=lambda: found))
        monkeypatch.setenv("SP500TUI_DATA_DIR", str(tmp_path))

    def test_they_are_printed_with_their_first_and_last_day(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["constituents", "--as-of", "2020-05-31", "--json"]) == ExitCode.OK
        captured = capsys.readouterr()
        records = {record["symbol"]: record for record in json.loads(captured.out)}
        assert records["OLD"] == {
            "symbol": "OLD",
            "cik": "",
            "valid_from": "1957-03-04",
            "valid_to": "2020-06-01",
            "source": "wikipedia",
        }
        assert "the list of 2020-05-31 is far from complete" in captured.err

    def test_text_and_csv_have_the_same_rows(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["constituents", "--as-of", "2026-01-01"]) == ExitCode.OK
        assert capsys.readouterr().out.split() == ["AAPL", "0001136869", "2001-08-07", "wikipedia"]
        assert cli.main(["constituents", "--as-of", "2026-01-01", "--csv"]) == ExitCode.OK
        assert capsys.readouterr().out.splitlines() == [
            "symbol,cik,valid_from,valid_to,source",
            "AAPL,0001136869,2001-08-07,,wikipedia",
        ]

    @pytest.mark.parametrize(
        ("day", "words"),
        [
            ("yesterday", "is not a date; write 2024-05-31"),
            ("2026-02-30", "is not a date"),
            ("2024-W20", "is not a date; write 2024-05-31"),
            ("2024W203", "is not a date"),
            ("2024-05-31T10:00", "is not a date"),
            ("", "is not a date"),
            ("2999-01-01", "is in the future"),
            ("1950-01-01", "before the index had 500 companies, on 1957-03-04"),
        ],
    )
    def test_an_impossible_day_is_refused(
        self, day: str, words: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["constituents", "--as-of", day]) == ExitCode.USAGE
        assert words in capsys.readouterr().err
