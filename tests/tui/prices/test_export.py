"""Tables exported to files and the clipboard."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui import export
from sp500tui.errors import Sp500tuiError
from sp500tui.export import Table, as_line, write_table
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Latency, WorkerState
from sp500tui.tui.prices.export import PriceRecord, price_record
from sp500tui.tui.prices.model import PriceModel
from sp500tui.tui.workers.export import WorkerRecord, worker_record
from tests.support.tui.fake_pipeline import running, worker
from tests.support.tui.price_rows import NOW, constituent, live


def record(symbol: str = "BRK.B", name: str = "Berkshire Hathaway") -> PriceRecord:
    model = PriceModel()
    model.set_constituents([constituent(symbol, name, "Financials")])
    model.update([live(symbol, "478.10", "-2.50")], NOW)
    return price_record(model.rows[symbol])


def without_price() -> PriceRecord:
    model = PriceModel()
    model.set_constituents([constituent("A")])
    return price_record(model.rows["A"])


def prices(*records: PriceRecord) -> Table:
    return Table("prices", PriceRecord, records)


def as_csv(table: Table) -> str:
    return export.as_csv(table.columns(), table.rows())


def as_json(table: Table) -> str:
    return export.as_json(table.rows())


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_has_every_digit_and_utc_times() -> None:
    row = rows_of(as_csv(prices(record())))[0]

    assert row["symbol"] == "BRK.B"
    assert (row["price"], row["change"], row["converted_price"]) == ("478.10", "-2.50", "3289.33")
    assert (row["currency"], row["converted_currency"], row["volume"]) == ("USD", "DKK", "1234567")
    assert row["quote_time"] == "2026-05-14T15:00:00+00:00"


def test_an_unknown_session_is_exported_as_text() -> None:
    model = PriceModel()
    model.set_constituents([constituent("A")])
    model.update([live("A", state="LATE_NIGHT")], NOW)
    table = prices(price_record(model.rows["A"]))

    assert rows_of(as_csv(table))[0]["market_state"] == "LATE_NIGHT"
    assert json.loads(as_json(table))[0]["market_state"] == "LATE_NIGHT"


def test_what_is_unknown_is_empty_in_csv_and_null_in_json() -> None:
    row = rows_of(as_csv(prices(without_price())))[0]
    reported = json.loads(as_json(prices(without_price())))[0]

    assert (row["price"], row["volume"], row["quote_time"]) == ("", "", "")
    assert (reported["price"], reported["volume"], reported["quote_time"]) == (None, None, None)


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "|x", "%x", "\tx", "\rx", '=HYPERLINK("x")']
)
def test_text_that_a_spreadsheet_would_compute_is_disarmed(name: str) -> None:
    assert rows_of(as_csv(prices(record(name=name))))[0]["name"] == f"'{name}"


def test_a_negative_change_stays_a_number() -> None:
    assert rows_of(as_csv(prices(record())))[0]["change"] == "-2.50"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
def test_any_name_round_trips(name: str) -> None:
    known = replace(record(), name=name)

    assert json.loads(as_json(prices(known)))[0]["name"] == name
    assert rows_of(as_csv(prices(known)))[0]["name"].removeprefix("'") == name.removeprefix("'")
    assert as_line(known).count("\t") == len(as_csv(prices(record())).splitlines()[0].split(",")) - 1


def test_a_line_for_the_clipboard_is_one_line() -> None:
    line = as_line(record(name="Two\nlines\tand a tab"))

    assert line.split("\t")[:3] == ["BRK.B", "Two lines and a tab", "Financials"]
    assert "\n" not in line


@pytest.mark.parametrize(("name", "begins"), [("prices.csv", "symbol,name"), ("prices.json", "[\n")])
def test_the_file_name_chooses_the_form(tmp_path: Path, name: str, begins: str) -> None:
    table = prices(record(), without_price())
    write_table(table, tmp_path / name)

    text = (tmp_path / name).read_bytes().decode()
    assert text.startswith(begins)
    assert text == (as_json if name.endswith("json") else as_csv)(table)


def test_a_file_that_cannot_be_written_is_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(
        Sp500tuiError, match=r"cannot write .*prices\.csv: the folder .*nowhere does not exist"
    ):
        write_table(prices(record()), tmp_path / "nowhere" / "prices.csv")


def test_a_long_price_keeps_its_digits() -> None:
    long = replace(record(), price=Decimal("0.000000012345678901234567890"))

    assert rows_of(as_csv(prices(long)))[0]["price"] == "0.000000012345678901234567890"
    assert '"price": 0.000000012345678901234567890,' in as_json(prices(long))


class TestWorkers:
    def reported(self, **more: object) -> WorkerRecord:
        latency = Latency(1.23456, 9.87654, 12.0)
        one = worker(StageName.WRITER, 2, WorkerState.BACKOFF, "52 rows", 19.25, latency=latency, **more)
        return worker_record(one)

    def test_every_figure_of_a_worker_leaves_with_its_unit_in_its_name(self) -> None:
        one = self.reported(restarts=3, last_error="pipe broke", retry_in=4.5, items=9)
        row = rows_of(as_csv(Table("workers", WorkerRecord, [one])))[0]

        assert (row["name"], row["stage"], row["state"], row["doing"]) == (
            "writer-2",
            "writer",
            "backoff",
            "52 rows",
        )
        assert (row["p50_ms"], row["p95_ms"], row["p99_ms"]) == ("1.235", "9.877", "12.0")
        assert (row["items"], row["rate_10s_per_second"], row["retry_in_seconds"]) == ("9", "19.25", "4.5")
        assert (row["restarts"], row["last_error"]) == ("3", "pipe broke")
        assert (row["pid"], row["thread"]) == ("4202", "4302")

    def test_numbers_stay_numbers_and_what_is_unknown_null_in_json(self) -> None:
        idle = worker_record(running().workers[0])
        reported = json.loads(as_json(Table("workers", WorkerRecord, [idle])))[0]

        assert (reported["p50_ms"], reported["retry_in_seconds"]) == (None, None)
        assert (reported["pid"], reported["rate_1s_per_second"]) == (4100, 0.0)

    @pytest.mark.parametrize("error", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("x")'])
    def test_an_error_that_a_spreadsheet_would_compute_is_disarmed(self, error: str) -> None:
        table = Table("workers", WorkerRecord, [self.reported(last_error=error)])
        assert rows_of(as_csv(table))[0]["last_error"] == f"'{error}"

    def test_control_characters_of_an_error_do_not_leave(self) -> None:
        assert self.reported(last_error="\x1b[2Jgone\x07").last_error == "·[2Jgone·"

    def test_a_table_without_rows_has_its_columns(self) -> None:
        table = Table("workers", WorkerRecord, [])
        assert as_csv(table).startswith("name,stage,state,")
        assert json.loads(as_json(table)) == []
