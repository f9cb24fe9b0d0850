"""The output of commands: columns, encodings, broken pipes and full disks; no address is quoted."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.cli import main as cli
from sp500tui.cli.output import as_columns
from sp500tui.errors import ExitCode
from sp500tui.export import Row, as_csv, as_json
from sp500tui.sources.wikipedia.client import ConstituentList
from tests.unit.cli.commands.data.fake_sources import NOW, FakeYahoo, a_constituent, answer_with


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


class TestStandardOutput:
    """The output of the commands on real streams, with fake sources."""

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

    def test_numbers_are_right_aligned(self) -> None:
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
