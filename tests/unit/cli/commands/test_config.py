"""`sp500tui config`."""

from __future__ import annotations

import errno
import re
import shutil
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sp500tui.cli import main as cli
from sp500tui.cli.commands import config
from sp500tui.cli.commands.config import template_lines
from sp500tui.config.loader import load
from sp500tui.config.options import OPTIONS
from sp500tui.errors import ExitCode
from tests.support.environment import isolate_home, ordinary_user, remove_home
from tests.support.postgres.server import public_folder


class TestConfig:
    def test_show_names_every_value_and_its_origin(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # given values from every origin
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
        # when a file is requested
        assert cli.main(["config", "init"]) == ExitCode.OK
        file = Path(capsys.readouterr().out.strip())

        # then it has every setting, is valid, and is accessible to its owner only
        text = file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert tomllib.loads(text) == {}
        assert all(f"# {option.key} = " in text for option in OPTIONS)

        # and a second time it is left unchanged
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

    def test_init_reports_a_file_that_it_cannot_write(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").write_text("")
        assert cli.main(["config", "init", "--config", str(tmp_path / "file" / "x.toml")]) == ExitCode.USAGE
        assert "--config FILE" in capsys.readouterr().err

    def test_the_defaults_in_its_comments_are_accepted_when_enabled(self, tmp_path: Path) -> None:
        keys = {option.key for option in OPTIONS if option.field != "symbols_file"}
        settled = [line[2:] for line in template_lines() if line[2:].split(" = ")[0] in keys]
        file = tmp_path / "all.toml"
        file.write_text(
            "\n".join(line for line in settled if not line.rpartition(" = ")[2].strip('"').isupper())
        )
        assert load({}, str(file)).settings == load({}).settings

    def test_init_leaves_nothing_behind_where_the_file_cannot_be_written_completely(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # given a disk that becomes full while the file is written
        def lines() -> Iterator[str]:
            yield "# sp500tui"
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(config, "template_lines", lines)
        file = tmp_path / "new.toml"

        # then the error names the file and the remedy, and the next attempt is not refused
        assert cli.main(["config", "init", "--config", str(file)]) == ExitCode.USAGE
        assert (
            f"{file} cannot be written: No space left on device; free disk space" in capsys.readouterr().err
        )
        assert not file.exists()

    def test_what_show_prints_for_a_file_of_symbols_can_be_used_as_a_configuration(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # given the symbols of a file
        (tmp_path / "symbols.txt").write_text("AAPL\nMSFT\n")
        assert cli.main(["config", "show", "--symbols-file", str(tmp_path / "symbols.txt")]) == ExitCode.OK

        # then they are not shown as the setting that excludes the file
        shown = tmp_path / "shown.toml"
        shown.write_text(capsys.readouterr().out)
        assert load({}, str(shown)).settings.symbols == ("AAPL", "MSFT")

    def test_show_prints_a_path_on_one_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "two\nlines\x1b[31m.toml"
        file.write_text("writers = 3\n")
        assert cli.main(["config", "show", "--config", str(file)]) == ExitCode.OK
        shown = capsys.readouterr().out
        assert tomllib.loads(shown)["writers"] == 3
        assert "\x1b" not in shown
