"""The one-shot commands, on sources and databases that the tests make up."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import stat
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.cli import main as cli
from sp500tui.cli.commands.config import template_lines
from sp500tui.cli.commands.data import constituents, quote
from sp500tui.cli.output import as_columns
from sp500tui.config.loader import load
from sp500tui.config.options import OPTIONS
from sp500tui.errors import ExitCode, SourceError, ThrottledError
from sp500tui.export import Row, as_csv, as_json
from sp500tui.logs import setup as logs
from sp500tui.model import Constituent, FxRate, IndexChange, MarketState, Quote
from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters
from sp500tui.sources.request_phase import OnPhase, ignore_phase
from sp500tui.sources.wikipedia.client import ConstituentList
from sp500tui.sources.yahoo.parsing import FetchResult
from tests.support.environment import isolate_home, ordinary_user, remove_home
from tests.support.postgres import public_folder

NOW = datetime(2026, 5, 4, 15, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    isolate_home(monkeypatch, tmp_path)
    yield
    if (configuration := logs.current()) is not None:
        configuration.close()


def a_constituent(symbol: str, name: str = "Company") -> Constituent:
    return Constituent(
        symbol, name, "Energy", "Oil", "Houston, Texas", date(2001, 8, 7), "0001136869", "1927"
    )


def a_quote(symbol: str) -> Quote:
    return Quote(
        symbol, Decimal("187.2200"), Decimal("-3.41"), None, "USD", NOW, MarketState.REGULAR, 1_234_567, NOW
    )


class FakeYahoo:
    """Returns a quote for every known symbol, after the given number of failures."""

    def __init__(self, unknown: Sequence[str] = (), failures: Sequence[SourceError] = ()) -> None:
        self.unknown = unknown
        self.failures = list(failures)
        self.batches: list[tuple[str, ...]] = []

    def open(self) -> None:
        return

    def fetch(
        self,
        symbols: Sequence[str],
        fx_pairs: Sequence[tuple[str, str]] = (),
        on_phase: OnPhase = ignore_phase,
    ) -> FetchResult:
        if self.failures:
            raise self.failures.pop(0)
        self.batches.append(tuple(symbols))
        return FetchResult(
            tuple(a_quote(symbol) for symbol in reversed(symbols) if symbol not in self.unknown),
            tuple(FxRate(base, target, Decimal("6.42"), NOW) for base, target in fx_pairs),
            {symbol: "Yahoo knows no such symbol" for symbol in symbols if symbol in self.unknown},
        )


def answer_with(monkeypatch: pytest.MonkeyPatch, **sources: object) -> None:
    @contextmanager
    def opened(_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(**sources)

    monkeypatch.setattr(constituents, "opened_sources", opened)
    monkeypatch.setattr(quote, "opened_sources", opened)


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
            ("2999-01-01", "lies in the future"),
            ("1950-01-01", "before the index had 500 companies, on 1957-03-04"),
        ],
    )
    def test_an_impossible_day_is_refused(
        self, day: str, words: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["constituents", "--as-of", day]) == ExitCode.USAGE
        assert words in capsys.readouterr().err


class TestQuote:
    def test_prices_come_in_the_order_asked_for(
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

    def test_a_source_in_trouble_is_asked_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pauses: list[float] = []
        monkeypatch.setattr(time, "sleep", pauses.append)
        failures = [SourceError("a page instead of JSON"), ThrottledError("too many", 1.5)]
        answer_with(monkeypatch, yahoo=FakeYahoo(failures=failures))
        assert cli.main(["quote", "AAPL"]) == ExitCode.OK
        assert pauses == [0.2, 1.5]

    @pytest.mark.parametrize("error", [SourceError("no route"), ThrottledError("too many", 60.0)])
    def test_a_source_that_stays_away_is_exit_code_3(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: SourceError
    ) -> None:
        monkeypatch.setattr(time, "sleep", lambda _: None)
        answer_with(monkeypatch, yahoo=FakeYahoo(failures=[error] * 10))
        assert cli.main(["quote", "AAPL"]) == ExitCode.NO_SOURCE
        assert capsys.readouterr().err == f"sp500tui: {error}\n"

    def test_a_symbol_that_cannot_be_one_is_refused_before_anything_is_asked(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["quote", "BRK-B"]) == ExitCode.USAGE
        assert "write BRK.B" in capsys.readouterr().err


class TestDatabaseUrls:
    @pytest.mark.parametrize("option", ["--database", "--read-database"])
    def test_one_that_libpq_cannot_use_is_refused(
        self, capsys: pytest.CaptureFixture[str], option: str
    ) -> None:
        urls = {"--database": "postgresql://host/x", option: "postgresql://me:secret@replica:x/y"}
        arguments = [argument for pair in urls.items() for argument in pair]
        assert cli.main(["config", "show", *arguments]) == ExitCode.USAGE
        error = capsys.readouterr().err
        assert "'postgresql://***' has no usable port" in error
        assert "secret" not in error


class TestConfig:
    def test_show_names_every_value_and_its_origin(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # given values from everywhere
        file = tmp_path / "config.toml"
        file.write_text('symbols = ["AAPL"]\n[keymap]\nquit = "x"\n')
        monkeypatch.setenv("SP500TUI_DATABASE", "postgresql://me:secret@host/x")

        # when they are shown
        assert cli.main(["config", "show", "--config", str(file), "--interval", "3"]) == ExitCode.OK

        # then it is TOML with the origins as comments, and without the password
        shown = capsys.readouterr().out
        content = tomllib.loads(shown)
        assert (content["interval"], content["symbols"], content["keymap"]) == (3.0, ["AAPL"], {"quit": "x"})
        assert content["database"] == "postgresql://me:***@host/x"
        origins = {line.split(" ")[0]: line.rpartition("# ")[2] for line in shown.splitlines()}
        assert (origins["interval"], origins["database"]) == ("--interval", "SP500TUI_DATABASE")
        assert (origins["symbols"], origins["writers"]) == (str(file), "default")
        assert "# proxy is not set" in shown
        assert f"# log folder: {tmp_path / 'state' / 'sp500tui' / 'log'}" in shown

    def test_path_names_a_file_that_need_not_exist(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["config", "path"]) == ExitCode.OK
        assert capsys.readouterr().out == f"{tmp_path / 'config' / 'sp500tui' / 'config.toml'}\n"
        assert cli.main(["config", "path", "--config", "/nowhere.toml"]) == ExitCode.OK

    def test_init_writes_a_private_file_that_changes_nothing_and_never_overwrites(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # when a file is asked for
        assert cli.main(["config", "init"]) == ExitCode.OK
        file = Path(capsys.readouterr().out.strip())

        # then it names every setting, is valid, and is its owner's alone
        text = file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert tomllib.loads(text) == {}
        assert all(f"# {option.key} = " in text for option in OPTIONS)

        # and a second time it is left alone
        file.write_text("writers = 3\n")
        assert cli.main(["config", "init"]) == ExitCode.USAGE
        assert "exists already" in capsys.readouterr().err
        assert file.read_text() == "writers = 3\n"

    def test_show_works_without_a_home(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        remove_home(monkeypatch)
        assert cli.main(["config", "show", "--writers", "3"]) == ExitCode.OK
        shown = capsys.readouterr().out
        assert tomllib.loads(shown)["writers"] == 3
        assert "# configuration file: none (the home directory is unknown)" in shown
        assert re.search("# data folder: none .*--data-dir DIR", shown)
        assert re.search("# log folder: none .*--log-file FILE", shown)

    def test_show_names_a_default_file_that_cannot_be_read(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # given a folder of the configuration that the user cannot enter
        home = public_folder()
        isolate_home(monkeypatch, home)
        (home / "config").mkdir(mode=0)

        # when the settings are shown
        with ordinary_user():
            code = cli.main(["config", "show"])
        (home / "config").rmdir()
        home.rmdir()

        # then the reason is among the comments
        assert code == ExitCode.OK
        file = home / "config" / "sp500tui" / "config.toml"
        assert (
            f"# configuration file {file} cannot be read and is ignored: Permission"
            in capsys.readouterr().out
        )

    def test_a_default_file_that_cannot_be_read_is_one_warning_on_stderr_and_in_the_log_file(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        # given a folder of the configuration that the user cannot enter
        home = public_folder()
        home.chmod(0o777)
        isolate_home(monkeypatch, home)
        (home / "config").mkdir(mode=0)

        # when a command is run
        with ordinary_user():
            code = cli.main(["dead-letters", "list", "--data-dir", str(home / "data")])
            log = (home / "state" / "sp500tui" / "log" / "app.log").read_text()
        shutil.rmtree(home)

        # then it works, with one warning
        assert code == ExitCode.OK
        warning = f"configuration file {home}/config/sp500tui/config.toml cannot be read and is ignored"
        assert capfd.readouterr().err.count(warning) == log.count(warning) == 1

    @pytest.mark.parametrize("action", ["path", "init"])
    def test_without_a_home_the_file_must_be_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], action: str
    ) -> None:
        remove_home(monkeypatch)
        assert cli.main(["config", action]) == ExitCode.USAGE
        error = capsys.readouterr().err
        assert "set HOME, or name the configuration file with --config FILE" in error
        assert error.count("\n") == 1
        assert cli.main(["config", action, "--config", str(tmp_path / "new.toml")]) == ExitCode.OK

    def test_init_says_when_it_cannot_write(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "file").write_text("")
        assert cli.main(["config", "init", "--config", str(tmp_path / "file" / "x.toml")]) == ExitCode.USAGE
        assert "--config FILE" in capsys.readouterr().err

    def test_the_defaults_written_there_are_accepted_when_switched_on(self, tmp_path: Path) -> None:
        keys = {option.key for option in OPTIONS if option.field != "symbols_file"}
        settled = [line[2:] for line in template_lines() if line[2:].split(" = ")[0] in keys]
        file = tmp_path / "all.toml"
        file.write_text(
            "\n".join(line for line in settled if not line.rpartition(" = ")[2].strip('"').isupper())
        )
        assert load({}, str(file)).settings == load({}).settings


class TestDeadLetters:
    def a_letter(self) -> DeadLetter:
        return DeadLetter(
            "2026-05-04T15:30:00+00:00", "out of range\x1b", "22003", {"symbol": "AAPL", "price": "1e999"}
        )

    def test_none_are_said_to_be_none(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        for action in ("list", "replay"):
            assert cli.main(["dead-letters", action, "--data-dir", str(tmp_path / "d")]) == ExitCode.OK
            assert capsys.readouterr().out == "no dead letters\n"

    def test_letters_are_listed_with_their_reason(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        DeadLetters(tmp_path / "d" / "live" / "dead-letters.jsonl").add([self.a_letter()])

        assert cli.main(["dead-letters", "list", "--data-dir", str(tmp_path / "d")]) == ExitCode.OK
        line = capsys.readouterr().out
        assert line == "2026-05-04T15:30:00+00:00  AAPL  –  1e999  22003  out of range\\x1b\n"

        assert cli.main(["dead-letters", "list", "--json", "--data-dir", str(tmp_path / "d")]) == ExitCode.OK
        assert json.loads(capsys.readouterr().out)[0]["price"] == "1e999"


class TestStandardOutput:
    """What the commands print with real streams; sources are made up."""

    COMMANDS = (
        "constituents",
        "constituents --csv",
        "constituents --json",
        "quote AAPL",
        "quote AAPL --json",
        "config show",
        "config path",
        "dead-letters list --json",
    )

    @pytest.fixture(autouse=True)
    def some_sources(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = ConstituentList((a_constituent("NESN", "Nestlé – 🎉"),), "cache", NOW, "")
        answer_with(monkeypatch, wikipedia=SimpleNamespace(load=lambda: found), yahoo=FakeYahoo())

    @pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "cp037"])
    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_works_in_any_encoding(
        self, monkeypatch: pytest.MonkeyPatch, command: str, encoding: str
    ) -> None:
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
        assert cli.main(command.split()) == ExitCode.OK
        printed = raw.getvalue().decode(encoding)
        if command == "constituents --json":
            assert json.loads(printed)[0]["name"] == "Nestlé – 🎉"
        elif command.startswith("constituents"):
            assert re.search("Nestl[é?] [?] [?]", printed)
        else:
            assert printed

    @pytest.mark.parametrize("command", COMMANDS)
    def test_a_reader_that_closes_the_pipe_ends_a_command_quietly(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], command: str
    ) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "w") as stdout:
            monkeypatch.setattr(sys, "stdout", stdout)
            assert cli.main(command.split()) == ExitCode.OK
        assert capfd.readouterr().err == ""

    @pytest.mark.parametrize("command", COMMANDS)
    def test_a_full_disk_is_a_failure_in_one_line(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], command: str
    ) -> None:
        with open("/dev/full", "w") as stdout:  # noqa: PTH123
            monkeypatch.setattr(sys, "stdout", stdout)
            assert cli.main(command.split()) == ExitCode.INCOMPLETE
        error = capfd.readouterr().err
        assert (
            error == "sp500tui: the output could not be written to standard output: No space left on device\n"
        )


class TestOutput:
    @given(
        st.lists(
            st.tuples(st.text(max_size=9), st.decimals(allow_nan=False, allow_infinity=False)), min_size=1
        )
    )
    def test_every_form_reads_back(self, rows: list[tuple[str, Decimal]]) -> None:
        records: list[Row] = [{"name": name, "price": price} for name, price in rows]
        back = json.loads(as_json(records), parse_float=Decimal, parse_int=Decimal)
        assert [(each["name"], each["price"]) for each in back] == rows

        table = list(csv.reader(io.StringIO(as_csv(["name", "price"], records))))
        assert table[0] == ["name", "price"]
        assert not any(row[0].startswith(("=", "+", "-", "@", "\t", "\r")) for row in table[1:])
        assert [Decimal(row[1]) for row in table[1:]] == [price for _, price in rows]

        lines = as_columns([(name, str(price)) for name, price in rows]).splitlines()
        assert len(lines) == len(rows)

    def test_numbers_stand_on_the_right(self) -> None:
        assert as_columns([("a", "1"), ("bb", "10")], frozenset({1})) == "a    1\nbb  10\n"


def test_the_program_can_be_run_as_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    import runpy

    monkeypatch.setattr(sys, "argv", ["sp500tui", "--version"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("sp500tui", run_name="__main__")
    assert not caught.value.code


BADLY_WRITTEN = [
    "me:s3cr3t]/@host/db",
    "plain:s3cr3t@h/db",
    "postgresql://me:s3cr3t]/@host:5432/db",
    "postgresql:me:s3cr3t@host/db",
    "redis://me:[s3cr3t@host/0",
    "http://me:12 s3cr3t@host:x",
    "host=h user=me password=s3cr3t",
    "host=h password = 's3 s3cr3t",
    "postgresql://me:%zzs3cr3t@host/db",
    "s3cr3t",
]


@pytest.mark.parametrize("address", BADLY_WRITTEN)
@pytest.mark.parametrize("name", ["database", "read_database", "broker", "proxy", "wikipedia_url"])
@pytest.mark.parametrize("way", ["flag", "environment", "file", "list in the file"])
def test_a_badly_written_address_is_quoted_nowhere(
    address: str,
    name: str,
    way: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "config.toml"
    file.write_text("")
    arguments = ["config", "show", "--config", str(file)]
    match way:
        case "flag":
            arguments.append(f"--{name.replace('_', '-')}={address}")
        case "environment":
            monkeypatch.setenv(f"SP500TUI_{name.upper()}", address)
        case "file":
            file.write_text(f"{name} = {json.dumps(address)}\n")
        case _:
            file.write_text(f"{name} = [{json.dumps(address)}]\n")
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert "s3cr3t" not in out + err
    assert name.replace("_", "-") in err.lower().replace("_", "-") or "database" in err


@pytest.mark.parametrize("address", BADLY_WRITTEN[:8])
@pytest.mark.parametrize("before", [[], ["config"], ["database"], ["config", "show"], ["--cycles"]])
def test_an_address_in_the_wrong_place_is_not_quoted(
    address: str, before: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*before, address]) == 2
    out, err = capsys.readouterr()
    assert "s3cr3t" not in out + err
