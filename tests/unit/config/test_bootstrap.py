"""Bootstrap: default folders that cannot be used cost a warning, named ones are errors, and one message names all."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from sp500tui.cli.context import configuration_of
from sp500tui.cli.parser import parse
from sp500tui.config.bootstrap import bootstrap
from sp500tui.errors import ConfigurationError
from sp500tui.logs.setup import current
from tests.support.environment import isolate_home, remove_home


@pytest.fixture(autouse=True)
def own_home_and_logging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    isolate_home(monkeypatch, tmp_path)
    root = logging.getLogger()
    levels = root.level, logging.getLogger("sp500tui").level
    yield
    if (configuration := current()) is not None:
        configuration.close()
    root.setLevel(levels[0])
    logging.getLogger("sp500tui").setLevel(levels[1])
    logging.captureWarnings(capture=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file where a folder is required."""
    made = tmp_path / "file"
    made.write_text("")
    return made


def start(*arguments: str, console: bool = True) -> list[str]:
    """Bootstrap a run with these arguments; returns its log."""
    bootstrap(
        configuration_of(parse(["--no-ui", "--database=postgresql://h/x", *arguments])), console=console
    )
    configuration = current()
    assert configuration is not None
    return [line.message for line in configuration.ring.since(0)[1]]


@pytest.mark.parametrize("console", [True, False])
def test_an_unusable_default_log_folder_costs_one_warning(
    tmp_path: Path,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    console: bool,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(file))
    (message,) = start(f"--data-dir={tmp_path / 'data'}", console=console)
    assert message.startswith(f"no log files are written: log folder {file}")
    assert message.endswith("cannot be created: Not a directory; name a file with --log-file FILE")
    assert capsys.readouterr().err.count("no log files are written") == console


def test_an_unknown_home_costs_one_warning_where_the_data_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove_home(monkeypatch)
    messages = [line for line in start(f"--data-dir={tmp_path / 'data'}") if "log files" in line]
    assert len(messages) == 1
    assert messages[0].endswith("set HOME, or give --log-file FILE")


def test_a_log_file_that_was_named_is_an_error(tmp_path: Path, file: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"log file .* cannot be opened: Not a directory; name another"
    ):
        start(f"--log-file={file / 'x.log'}", f"--data-dir={tmp_path / 'data'}")


@pytest.mark.parametrize("log", ["default", "named"])
def test_one_message_names_everything_that_has_to_be_set(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: str
) -> None:
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(file))
    named = [f"--log-file={file / 'x.log'}"] if log == "named" else []
    with pytest.raises(
        ConfigurationError, match=r"data folder .*--data-dir DIR; log .*--log-file FILE"
    ) as raised:
        start(f"--data-dir={file}", *named)
    assert "\n" not in str(raised.value)
    assert capsys.readouterr().err == ""
