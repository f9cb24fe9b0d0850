"""`sp500tui export` on a real PostgreSQL: formats, selections, and files that survive a failure."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from sp500tui.cli.main import main
from sp500tui.storage.export.rows import BLOCK_BYTES, Dataset, csv_blocks

FILL = """
INSERT INTO prices (symbol, quote_time, price, change, percent_change, currency, converted_price, converted_currency,
                    fx_rate, market_state, volume, fetched_at)
SELECT symbol, timestamptz '2026-05-04 13:30+00' + number * interval '1 minute', 225.4199981689453 + number, -1.50,
       0.123456789012345678, 'USD', 1543.10, 'DKK', 6.858, 'REGULAR', 1000, '2026-05-04 13:30:00.25+00'
FROM unnest(ARRAY['AAPL', '=ES', 'BRK.B']) AS listed (symbol), generate_series(0, 2) AS number;
INSERT INTO bars (symbol, resolution, start_time, open, high, low, close, volume, source, fetched_at)
SELECT 'AAPL', resolution, '2026-05-04 13:30+00', 1.10, 2, 0.5, 1.25, NULL, 'yahoo', '2026-05-05 00:00+00'
FROM unnest(ARRAY['1m', '1d']) AS listed (resolution);
INSERT INTO corporate_actions (symbol, effective_date, kind, numerator, denominator, effective_time, fetched_at)
VALUES ('NVDA', '2021-07-20', 'split', 4, 1, '2021-07-20 13:30+00', now());
INSERT INTO constituents VALUES ('AAPL', '0000320193', '=HYPERLINK("x")', E'back\\\\slash "q"', '+1', 'A, B',
                                 E'two\\nlines', '1982-11-30', '2026-01-01 00:00+00', '2026-06-01 00:00+00');
"""


@pytest.fixture
def url(migrated_url: str) -> str:
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute(FILL.encode())
    return migrated_url


@pytest.fixture
def exported(url: str, tmp_path: Path) -> Iterator[Path]:
    """A folder; the program takes its database from the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SP500TUI_DATABASE", url)
        folder = tmp_path / "out"
        folder.mkdir()
        yield folder


def run(*arguments: str) -> int:
    return main(["export", *arguments])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class TestCsv:
    def test_has_exact_numbers_and_times_in_utc(
        self, exported: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("quotes", "-o", str(exported / "q.csv"), "--symbols", "AAPL") == 0
        rows = rows_of(exported / "q.csv")
        assert len(rows) == 3
        assert rows[0]["price"] == "225.4199981689453"
        assert rows[0]["change"] == "-1.50"
        assert rows[0]["percent_change"] == "0.123456789012345678"
        assert rows[0]["fetched_at"] == "2026-05-04 13:30:00.25+00"
        assert capsys.readouterr().err == f"sp500tui: exported 3 quotes to {exported / 'q.csv'}\n"

    def test_no_text_is_a_formula(self, exported: Path) -> None:
        assert run("constituents", "-o", str(exported / "c.csv")) == 0
        (row,) = rows_of(exported / "c.csv")
        assert (row["name"], row["sub_industry"]) == ('\'=HYPERLINK("x")', "'+1")
        assert (row["headquarters"], row["founded"]) == ("A, B", "two\nlines")
        assert run("quotes", "-o", str(exported / "q.csv")) == 0
        assert {row["symbol"] for row in rows_of(exported / "q.csv")} == {"AAPL", "'=ES", "BRK.B"}

    @pytest.mark.parametrize(
        ("window", "minutes"),
        [
            (["--from", "2026-05-04"], 3),
            (["--to", "2026-05-04"], 3),
            (["--from", "2026-05-05"], 0),
            (["--to", "2026-05-03"], 0),
            (["--from", "2026-05-04T13:31:00Z"], 2),
            (["--from", "2026-05-04T15:31:00+02:00", "--to", "2026-05-04T13:32"], 1),
            (["--from", "2030-01-01"], 0),
        ],
    )
    def test_a_window_in_the_zone_of_its_times(self, exported: Path, window: list[str], minutes: int) -> None:
        assert run("quotes", "--symbols", "aapl", *window, "-o", str(exported / "q.csv")) == 0
        assert len(rows_of(exported / "q.csv")) == minutes

    def test_an_empty_result_is_reported(self, exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("bars", "--from", "2030-01-01") == 0
        assert capsys.readouterr().err == "sp500tui: no bars match; check --from, --to and --symbols\n"

    def test_bars_of_one_resolution(self, exported: Path) -> None:
        assert run("bars", "--resolution", "1d", "-o", str(exported / "b.csv")) == 0
        (row,) = rows_of(exported / "b.csv")
        assert (row["resolution"], row["open"], row["volume"]) == ("1d", "1.10", "")

    def test_blocks_hold_many_lines(self, url: str) -> None:
        from sp500tui.cli.commands.data.window import parse_window
        from sp500tui.storage.connection import connect
        from sp500tui.storage.export.rows import Selection

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO prices "
                "(symbol, quote_time, price, currency, converted_currency, market_state, fetched_at) "
                "SELECT 'MANY', timestamptz '2026-05-04' + n * interval '1 s', n, 'USD', 'DKK', 'REGULAR', now() "
                "FROM generate_series(1, 20000) AS n"
            )
        with connect(url, application_name="test", read_only=True) as reading:
            blocks = list(csv_blocks(reading, Selection(Dataset.QUOTES, *parse_window(None, None))))
        assert len(blocks) > 4
        assert max(map(len, blocks)) < BLOCK_BYTES + 1000
        assert b"".join(blocks).count(b"\n") == 20_010


class TestJsonLines:
    def test_has_exact_numbers(self, exported: Path) -> None:
        assert run("quotes", "--symbols", "AAPL", "-o", str(exported / "q.jsonl")) == 0
        lines = (exported / "q.jsonl").read_text("utf-8").splitlines()
        record = json.loads(lines[0], parse_float=Decimal)
        assert record["price"] == Decimal("225.4199981689453")
        assert record["percent_change"] == Decimal("0.123456789012345678")
        assert record["quote_time"] == "2026-05-04T13:30:00+00:00"
        assert record["fx_time"] is None

    def test_text_survives(self, exported: Path) -> None:
        assert run("constituents", "--format", "jsonl", "-o", str(exported / "c")) == 0
        record = json.loads((exported / "c").read_text("utf-8"))
        assert record["sector"] == 'back\\slash "q"'
        assert record["founded"] == "two\nlines"


class TestParquet:
    def test_has_exact_decimals_and_zoned_times(self, exported: Path) -> None:
        parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
        assert run("quotes", "-o", str(exported / "q.parquet")) == 0
        table = parquet.read_table(exported / "q.parquet")
        assert table.num_rows == 9
        record = next(each for each in table.to_pylist() if each["symbol"] == "=ES")
        assert record["price"] == Decimal("225.4199981689453")
        assert record["percent_change"] == Decimal("0.123456789012345678")
        assert record["quote_time"].isoformat() == "2026-05-04T13:30:00+00:00"
        assert record["fx_time"] is None

    @pytest.mark.parametrize("dataset", ["bars", "actions", "constituents"])
    def test_every_dataset(self, exported: Path, dataset: str) -> None:
        parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
        file = exported / "x.parquet"
        assert run(dataset, "-o", str(file)) == 0
        assert parquet.read_table(file).column_names == list(Dataset(dataset).columns)
        assert run(dataset, "-o", str(file), "--from", "2100-01-01") == 0
        assert parquet.read_table(file).num_rows == 0

    def test_a_number_of_too_many_digits_is_refused(
        self, exported: Path, url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE prices SET price = 0.1234567890123456789")
        assert run("quotes", "-o", str(exported / "q.parquet")) == 1
        assert "do not fit into Parquet" in capsys.readouterr().err
        assert list(exported.iterdir()) == []


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["cats"], "unknown table 'cats'; give quotes, bars"),
            ([], "TABLE is missing; give quotes, bars"),
            (["quotes", "--format", "xlsx"], "--format xlsx is invalid; give csv, jsonl or parquet"),
            (["quotes", "--from", "yesterday"], "--from 'yesterday' is neither a date nor a time"),
            (["quotes", "--to", "2026-13-01"], "--to '2026-13-01' is neither"),
            (
                ["quotes", "--from", "2026-05-05", "--to", "2026-05-04"],
                "--to 2026-05-04 is before --from 2026-05-05",
            ),
            (["quotes", "--from", "0001-01-01"], "not between the years"),
            (["quotes", "--symbols", "BRK-B"], "write BRK.B"),
            (["quotes", "--symbols", ","], "--symbols contains no symbol"),
            (["quotes", "--resolution", "1m"], "--resolution is for bars"),
            (["bars", "--resolution", "7m"], "--resolution 7m is invalid; give 1m"),
        ],
    )
    def test_is_refused_in_one_line(
        self, exported: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(*arguments) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert message in lines[0]

    def test_an_empty_database(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("SP500TUI_DATABASE", database_url)
        assert run("bars") == 4
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "no table for bars yet; `sp500tui database prepare`" in captured.err

    def test_a_table_that_was_dropped(
        self, migrated_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # given a database that has lost a table
        monkeypatch.setenv("SP500TUI_DATABASE", migrated_url)
        with psycopg.connect(migrated_url, autocommit=True) as connection:
            connection.execute("DROP TABLE bars CASCADE")
            assert run("bars") == 4
            assert "restore it, or run DROP TABLE public.schema_version" in capsys.readouterr().err
            # when the remedy is applied, it is there again
            connection.execute("DROP TABLE public.schema_version")
        assert main(["database", "prepare"]) == 0
        assert run("bars", "-o", "/dev/null") == 0


class TestFiles:
    def test_a_failed_export_keeps_the_previous_file(
        self, exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # given an export whose connection is lost after its first block
        file = exported / "q.csv"
        file.write_text("before")

        def breaking(*_: object) -> Iterator[bytes]:
            yield b"first"
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("sp500tui.storage.export.rows.csv_blocks", breaking)

        assert run("quotes", "-o", str(file)) == 1

        assert "No space left on device" in capsys.readouterr().err
        assert file.read_text() == "before"
        assert list(exported.iterdir()) == [file]

    def test_a_link_is_followed_and_a_device_written(self, exported: Path) -> None:
        (exported / "real.csv").write_text("before")
        (exported / "link.csv").symlink_to(exported / "real.csv")
        assert run("quotes", "-o", str(exported / "link.csv")) == 0
        assert (exported / "link.csv").is_symlink()
        assert len(rows_of(exported / "real.csv")) == 9
        assert run("quotes", "-o", os.devnull) == 0


class TestStandardOutput:
    @pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
    def test_an_export_ends_quietly_when_its_reader_closes_the_pipe(self, url: str, form: str) -> None:
        if form == "parquet":
            pytest.importorskip("pyarrow", reason="needs the extra parquet")
        process = subprocess.Popen(
            [sys.executable, "-m", "sp500tui", "export", "quotes", "--format", form, "--database", url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ),
        )
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(60) == 0

    def test_is_complete(self, url: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "sp500tui", "export", "quotes", "--database", url],
            capture_output=True,
            env=dict(os.environ),
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert len(list(csv.DictReader(io.StringIO(done.stdout.decode())))) == 9
