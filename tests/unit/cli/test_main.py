"""The command line: parsing, refusals, and the dispatch to front ends and commands."""

from __future__ import annotations

import io
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sp500tui import __version__
from sp500tui.cli import main as cli
from sp500tui.cli.parser import parse
from sp500tui.config.loader import Configuration, flags_of
from sp500tui.errors import ConfigurationError, DatabaseError, ExitCode
from sp500tui.headless import runner as headless
from sp500tui.logs import setup as logs
from sp500tui.logs.setup import configure
from tests.support.postgres.server import public_folder


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


class TestParse:
    @pytest.mark.parametrize(
        ("line", "flags"),
        [
            ("", {}),
            ("--no-ui --once --json", {"no_ui": True, "once": True, "json_output": True}),
            ("--interval -1", {"interval": "-1"}),
            ("--interval -inf --once", {"interval": "-inf", "once": True}),
            ("--keep-quotes -5d", {"keep_quotes": "-5d"}),
            ("--requests-per-second -.5e3", {"requests_per_second": "-.5e3"}),
            ("--data-dir=-- --once", {"data_dir": "--", "once": True}),
            ("--no-journal --no-demo", {"journal": False, "demo": False}),
            ("--demo --market-speed=60", {"demo": True, "market_speed": "60"}),
            ("constituents --demo --json", {"demo": True, "json_output": True}),
            ("--demo constituents --csv", {"demo": True}),
            ("--proxy http://a quote AAPL --proxy http://b", {"proxy": "http://b"}),
            ("--proxy http://a quote AAPL", {"proxy": "http://a"}),
            ("config show --interval 3 --once", {"interval": "3", "once": True}),
            ("database status --data-dir /x", {"data_dir": "/x"}),
        ],
    )
    def test_only_what_was_given_is_a_flag(self, line: str, flags: dict[str, object]) -> None:
        assert flags_of(parse(line.split())) == flags

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("--intervall 3", "unknown option --intervall; did you mean --interval?"),
            ("--bogus", "unknown option --bogus; `sp500tui --help` lists the commands and options"),
            ("--xyzzy", "unknown option --xyzzy; `sp500tui --help` lists the commands and options"),
            ("-x", "unknown option -x"),
            ("--interval", "--interval requires a value; write --interval SECONDS"),
            ("qoute AAPL", "unknown command 'qoute'; did you mean quote?"),
            ("AAPL", "unknown command 'AAPL'"),
            ("quote", "SYMBOL is missing; write `sp500tui quote SYMBOL`"),
            ("scale", "STAGE and N are missing; write `sp500tui scale STAGE N`"),
            ("trace", "--output is missing; write `sp500tui trace --output FILE`"),
            ("database", "ACTION is missing; give url, psql, status or prepare"),
            ("database drop", "unknown action 'drop'; give url, psql, status or prepare"),
            ("config shwo", "unknown action 'shwo'; did you mean show?"),
            ("export quote", "unknown table 'quote'; did you mean quotes?"),
            ("gaps --resolution 2m", "--resolution 2m is invalid; give 1m, 5m, 15m, 1h, 1d or quotes"),
            ("simulate --port x", "--port x is invalid; give a whole number"),
            ("simulate --speed x", "--speed x is invalid; give a number"),
            ("constituents --json --csv", "--json and --csv are mutually exclusive; give one of them"),
            ("constituents --once", "--once"),
            ("--once=yes", "--once takes no value; write --once"),
            ("--demo=yes", "--demo takes no value; write --demo or --no-demo"),
        ],
    )
    def test_an_unknown_argument_is_refused_in_one_line_with_a_hint(self, line: str, words: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            parse(line.split())
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_value_may_begin_with_a_sign(self) -> None:
        assert parse(["replay", "FILE", "--at", "-10m"]).at == "-10m"
        assert parse(["gaps", "--from", "-7d"]).start == "-7d"
        assert parse(["scale", "price", "-1x"]).workers == "-1x"

    @pytest.mark.parametrize("option", ["--version", "--help", "-h"])
    def test_version_and_help_answer(self, capsys: pytest.CaptureFixture[str], option: str) -> None:
        with pytest.raises(SystemExit) as caught:
            parse([option])
        assert not caught.value.code
        assert "sp500tui" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("command", "listed", "not_listed"),
        [
            ("trace", ("--data-dir", "--seconds", "--log-level"), ("--currency", "--proxy", "--metrics")),
            ("status", ("--demo", "--data-dir", "--json"), ("--metrics", "--database", "--market-seed")),
            ("attach", ("--theme", "--read-only"), ("--metrics", "--database")),
            ("quote", ("--currency", "--proxy", "--market-seed"), ("--database", "--metrics")),
            ("export", ("--database", "--data-dir", "--demo"), ("--proxy", "--currency", "--market-speed")),
            ("backfill", ("--requests-per-second", "--history-workers"), ("--currency",)),
            ("learn", ("--market-seed", "--database"), ("--proxy", "--wikipedia-url")),
            ("worker", ("--metrics", "--stages", "--theme"), ()),
        ],
    )
    def test_the_help_lists_the_settings_that_have_an_effect(
        self,
        capsys: pytest.CaptureFixture[str],
        command: str,
        listed: tuple[str, ...],
        not_listed: tuple[str, ...],
    ) -> None:
        with pytest.raises(SystemExit):
            parse([command, "--help"])
        shown = capsys.readouterr().out
        assert [option for option in listed if option not in shown] == []
        assert [option for option in not_listed if option in shown] == []

    def test_one_shot_commands_accept_the_same_settings(self) -> None:
        flags = {"currency": "EUR", "market_seed": "1", "database": "postgresql://host/db"}
        line = ["--currency", "EUR", "--market-seed", "1", "--database", "postgresql://host/db"]
        for command in (["status"], ["export", "bars"], ["quote", "A"], ["trace", "-o", "-"], ["attach"]):
            assert flags_of(parse([*command, *line])) == flags

    @pytest.mark.parametrize(
        "command", ["constituents", "quote", "database", "dead-letters", "simulate", "config"]
    )
    def test_every_command_has_its_help(self, capsys: pytest.CaptureFixture[str], command: str) -> None:
        with pytest.raises(SystemExit):
            parse([command, "--help"])
        assert f"sp500tui {command}" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("line", "flags", "rest"),
        [
            ("database psql", {}, []),
            ("database psql -c x --demo", {}, ["-c", "x", "--demo"]),
            ("database psql --demo -c x", {"demo": True}, ["-c", "x"]),
            ("database --demo psql -c x", {"demo": True}, ["-c", "x"]),
            (
                "--demo database psql --data-dir /x -At --demo",
                {"demo": True, "data_dir": "/x"},
                ["-At", "--demo"],
            ),
            ("database psql --data-dir=/x --help", {"data_dir": "/x"}, ["--help"]),
            ("database psql -h host --version", {}, ["-h", "host", "--version"]),
            ("database psql --demo -- --demo", {"demo": True}, ["--demo"]),
            ("database psql --dry-run", {}, ["--dry-run"]),
            ("database --config f psql mydb", {}, ["mydb"]),
            ("database psql mydb --currency", {}, ["mydb", "--currency"]),
        ],
    )
    def test_arguments_after_our_own_options_are_passed_to_psql_unchanged(
        self, line: str, flags: dict[str, object], rest: list[str]
    ) -> None:
        namespace = parse(line.split())
        assert (namespace.action, flags_of(namespace), namespace.psql) == ("psql", flags, rest)

    def test_psql_as_a_value_is_no_action(self) -> None:
        namespace = parse(["--currency", "database", "quote", "psql"])
        assert (namespace.command, namespace.quote_symbols) == ("quote", ["psql"])
        assert not hasattr(namespace, "psql")

    def test_an_option_without_its_value_before_psql_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="--data-dir requires a value"):
            parse(["database", "psql", "--data-dir"])

    def test_a_url_in_the_wrong_place_is_not_quoted(self) -> None:
        for line in (
            "me:secret@host",
            "quote --currency",
            "database me:secret@host",
            "export --format me:secret@host bars",
            "simulate --port me:secret@host",
            "--once=me:secret@host",
            "config show me:secret@h",
        ):
            with pytest.raises(ConfigurationError) as caught:
                parse(line.split())
            assert "secret" not in str(caught.value)


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == ExitCode.OK
    assert capsys.readouterr().out == f"sp500tui {__version__}\n"


class TestDispatch:
    @pytest.fixture
    def errors(self, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
        return lambda: capsys.readouterr().err

    def test_no_ui_runs_headless(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[Configuration] = []

        def run(configuration: Configuration) -> int:
            seen.append(configuration)
            return 3

        monkeypatch.setattr(headless, "run_headless", run)
        assert cli.main(["--no-ui", "--once"]) == 3
        assert seen[0].settings.once

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--price-workers", "0"], "--price-workers 0"),
            ([], "--no-ui"),
            (["--json"], "add --no-ui"),
            (["--symbols", "\x1b[2J"], r"\x1b[2J"),
            (["--stages", "price", "--no-ui"], "add --broker URL"),
            (["worker"], "add --broker redis://"),
            (["worker", "--broker", "http://h"], "redis:// or rediss://"),
            (["worker", "--broker", "redis://h", "--stages", "pirce=3"], "the unknown stage 'pirce'"),
            (["top"], "add --broker redis://"),
            (["top", "--broker", "redis://127.0.0.1", "--no-ui"], "run sp500tui worker"),
            (["top", "--broker", "redis://127.0.0.1"], "stdout is not one; run sp500tui worker"),
            (["top", "--broker", "redis://10.1.1.1"], "add --database postgresql://"),
            (["simulate", "--faults", "[" * 100_000], "is not valid JSON; use {} for none"),
            (["simulate", "--port", "9" * 4_000], "use a number from 0 to 65535"),
            (["simulate", "--seed", "9" * 5_000], "is invalid; give a whole number"),
            (["--" + "x" * 5_000], "unknown option;"),
            (["x" * 5_000], "unknown command;"),
        ],
    )
    def test_a_refusal_is_one_line_and_exit_code_2(
        self, errors: Callable[[], str], arguments: list[str], words: str
    ) -> None:
        assert cli.main(arguments) == ExitCode.USAGE
        shown = errors()
        assert shown.startswith("sp500tui: ")
        assert words in shown
        assert shown.count("\n") == 1
        assert len(shown) < 300

    @pytest.mark.processes
    def test_a_demo_market_without_a_folder_for_its_certificate_is_refused(
        self, errors: Callable[[], str]
    ) -> None:
        assert cli.main(["simulate", "--ca-dir", "/etc/passwd/\x1b"]) == ExitCode.USAGE
        shown = errors()
        assert (
            r"cannot write /etc/passwd/\x1b/demo-market-ca.pem: Not a directory; choose a writable" in shown
        )
        assert shown.count("\n") == 1

    def test_a_dumb_terminal_is_refused_with_the_remedy(
        self, monkeypatch: pytest.MonkeyPatch, errors: Callable[[], str]
    ) -> None:
        monkeypatch.setattr(sys, "stdout", Terminal())
        monkeypatch.setattr(sys, "stdin", Terminal())
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setenv("TERM", "dumb")
        assert cli.main([]) == ExitCode.USAGE
        assert "TERM=dumb; use --no-ui" in errors()

    def test_on_a_terminal_the_dashboard_opens_with_a_silent_console(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errors: Callable[[], str]
    ) -> None:
        # given a terminal, and a configuration with a warning
        monkeypatch.setattr(sys, "stdout", Terminal())
        monkeypatch.setattr(sys, "stdin", Terminal())
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setenv("TERM", "xterm-256color")
        dashboard = SimpleNamespace(
            run_dashboard=lambda _settings, _paths, build, _control: 7 if build is None else 8
        )
        monkeypatch.setitem(sys.modules, "sp500tui.tui.run", dashboard)
        file = tmp_path / "config.toml"
        file.write_text('database = "postgresql://h/real"\n')

        # when the dashboard is to be started
        folder = public_folder()
        code = cli.main(["--demo", "--config", str(file), "--data-dir", str(folder / "data")])

        # then it runs, the warning is in the ring, and nothing is on the terminal
        configuration = logs.current()
        assert code == 7
        assert configuration is not None
        assert "is ignored in demo mode" in configuration.ring.since(0)[1][0].message
        assert errors() == ""
        configuration.close()
        shutil.rmtree(folder)

    @pytest.mark.parametrize(
        ("error", "code", "words"),
        [
            (DatabaseError("no server at\x1b host"), ExitCode.DATABASE, r"no server at\x1b host"),
            (KeyboardInterrupt(), ExitCode.SIGINT, ""),
            (RuntimeError("odd"), ExitCode.INCOMPLETE, "unexpected RuntimeError: odd; details in"),
        ],
    )
    def test_every_failure_ends_in_its_exit_code(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        errors: Callable[[], str],
        error: BaseException,
        code: ExitCode,
        words: str,
    ) -> None:
        def fail(_: Namespace) -> int:
            raise error

        configure(folder=tmp_path)
        monkeypatch.setattr(cli, "_dispatch", fail)
        assert cli.main([]) == code
        shown = errors()
        assert words in shown
        assert "Traceback" not in shown
        configuration = logs.current()
        assert configuration is not None
        assert configuration.errors_log is not None
        assert ("Traceback" in configuration.errors_log.read_text()) == isinstance(error, RuntimeError)
        configuration.close()

    def test_an_unexpected_error_without_a_log_folder_names_where_to_report_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errors: Callable[[], str]
    ) -> None:
        def fail(_: Namespace) -> int:
            raise RuntimeError("odd")

        (tmp_path / "state").write_text("in the way")
        monkeypatch.setattr(cli, "_dispatch", fail)
        assert cli.main([]) == ExitCode.INCOMPLETE
        assert "please report it" in errors()

    def test_a_closed_stderr_is_no_error_either(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stderr", None)
        assert cli.main(["--price-workers", "0"]) == ExitCode.USAGE
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb", buffering=0) as raw:
            monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, write_through=True))
            assert cli.main(["--price-workers", "0"]) == ExitCode.USAGE
