"""`sp500tui quote`, on invented prices."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import pytest

from sp500tui.cli import main as cli
from sp500tui.errors import ExitCode, SourceError, ThrottledError
from tests.unit.cli.commands.data.fake_sources import FakeYahoo, answer_with


class TestQuote:
    def test_prices_come_in_the_order_of_the_arguments(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        yahoo = FakeYahoo()
        answer_with(monkeypatch, yahoo=yahoo)
        monkeypatch.setenv("SP500TUI_BATCH_SIZE", "2")

        assert cli.main(["quote", "msft,AAPL", "BRK.B", "AAPL", "--json"]) == ExitCode.OK

        records = json.loads(capsys.readouterr().out, parse_float=Decimal)
        assert [record["symbol"] for record in records] == ["MSFT", "AAPL", "BRK.B"]
        assert yahoo.batches == [("MSFT", "AAPL"), ("BRK.B",)]
        assert records[0] == {
            "symbol": "MSFT",
            "price": Decimal("187.2200"),
            "change": Decimal("-3.41"),
            "percent_change": None,
            "currency": "USD",
            "converted_price": Decimal("1201.952400"),
            "converted_currency": "DKK",
            "fx_rate": Decimal("6.42"),
            "quote_time": "2026-05-04T15:30:00+00:00",
            "market_state": "REGULAR",
            "volume": 1_234_567,
        }

    def test_a_symbol_without_a_price_is_named_on_stderr(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        answer_with(monkeypatch, yahoo=FakeYahoo(unknown=["NOPE1"]))
        assert cli.main(["quote", "AAPL", "NOPE1"]) == ExitCode.INCOMPLETE
        captured = capsys.readouterr()
        assert captured.out == (
            "AAPL  187.22  USD  -3.41  –  1,201.95  DKK  1,234,567  REGULAR  2026-05-04 15:30:00 UTC\n"
        )
        assert captured.err == "sp500tui: no price for NOPE1: Yahoo knows no such symbol\n"

    def test_nothing_found_prints_an_empty_array(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        answer_with(monkeypatch, yahoo=FakeYahoo(unknown=["NOPE1"]))
        assert cli.main(["quote", "NOPE1", "--json"]) == ExitCode.INCOMPLETE
        assert capsys.readouterr().out == "[]\n"

    def test_a_request_to_a_source_in_trouble_is_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pauses: list[float] = []
        monkeypatch.setattr(time, "sleep", pauses.append)
        failures = [SourceError("a page instead of JSON"), ThrottledError("too many", 1.5)]
        answer_with(monkeypatch, yahoo=FakeYahoo(failures=failures))
        assert cli.main(["quote", "AAPL"]) == ExitCode.OK
        assert pauses == [0.2, 1.5]

    @pytest.mark.parametrize("error", [SourceError("no route"), ThrottledError("too many", 60.0)])
    def test_a_source_that_stays_unavailable_is_exit_code_3(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: SourceError
    ) -> None:
        monkeypatch.setattr(time, "sleep", lambda _: None)
        answer_with(monkeypatch, yahoo=FakeYahoo(failures=[error] * 10))
        assert cli.main(["quote", "AAPL"]) == ExitCode.NO_SOURCE
        assert capsys.readouterr().err == f"sp500tui: {error}\n"

    def test_a_symbol_that_cannot_be_one_is_refused_before_any_request(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["quote", "BRK-B"]) == ExitCode.USAGE
        assert "write BRK.B" in capsys.readouterr().err
