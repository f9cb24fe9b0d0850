"""`-o` of the commands that write a file: an error is found before anything is read or connected."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sp500tui.cli import main as cli
from sp500tui.errors import ExitCode

EXPORT = ["export", "quotes", "--database", "postgresql://postgres@127.0.0.1:1/none"]
"""Without the error it would exit with 4, because no server listens there."""
TRACE = ["trace"]
"""Without the error it would report that no pipeline runs."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one file."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "file").write_text("before")
    return folder


@pytest.mark.parametrize("command", [EXPORT, TRACE], ids=["export", "trace"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "--output '' is not a path; name a file, or - for standard output"),
        ("  ", "--output '' is not a path"),
        ("{folder}", "cannot write {folder}: it is a folder; name a file in it"),
        ("{folder}/", "--output {folder}/ is a folder; name a file in it"),
        ("{folder}/new/", "--output {folder}/new/ is a folder; name a file in it"),
        ("{folder}/none/q.csv", "cannot write {folder}/none/q.csv: the folder {folder}/none does not exist"),
        (
            "{folder}/file/q.csv",
            "cannot write {folder}/file/q.csv: Not a directory; name a file that you may",
        ),
        ("/proc/q.csv", "cannot write /proc/q.csv: "),
        ("~no-such-user/q.csv", "refers to an unknown home directory"),
    ],
)
def test_a_file_that_cannot_be_written_is_a_usage_error(
    command: list[str], name: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*command, "-o", name.format(folder=folder)]) == ExitCode.USAGE

    captured = capsys.readouterr()
    assert captured.out == ""
    assert message.format(folder=folder) in captured.err
    assert captured.err.count("\n") == 1
    assert list(folder.iterdir()) == [folder / "file"]


@pytest.mark.parametrize("suffix", [".json", ".xlsx", ".csv.gz", ".TSV"])
def test_the_format_of_an_export_follows_from_the_file_name(
    suffix: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*EXPORT, "-o", str(folder / f"q{suffix}")]) == ExitCode.USAGE

    assert (
        "files are not written; name it .csv, .jsonl or .parquet, or give --format" in capsys.readouterr().err
    )


def test_parquet_without_pyarrow_is_a_usage_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "sp500tui.storage.export.parquet", raising=False)

    assert cli.main([*EXPORT, "-o", str(folder / "q.parquet")]) == ExitCode.USAGE

    assert "install sp500tui[parquet], or use --format csv or jsonl" in capsys.readouterr().err


def test_an_export_creates_no_database(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = folder.parent / "data"

    assert cli.main(["export", "quotes", "--data-dir", str(data)]) == ExitCode.DATABASE

    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"data folder {data}/live has no database yet; start sp500tui" in captured.err
    assert not data.exists()


@pytest.mark.parametrize("command", [EXPORT, TRACE], ids=["export", "trace"])
def test_a_command_that_fails_leaves_the_file_as_it_was(command: list[str], folder: Path) -> None:
    arguments = ["-o", str(folder / "file"), "--data-dir", str(folder.parent / "data")]

    assert cli.main([*command, *arguments]) != ExitCode.OK

    assert list(folder.iterdir()) == [folder / "file"]
    assert (folder / "file").read_text() == "before"
