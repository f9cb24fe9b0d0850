"""The file of rows that the database rejects permanently."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sp500tui.errors import JournalError
from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters
from tests.support.environment import ordinary_user
from tests.support.postgres.server import public_folder


def letter(number: int, reason: str = "out of range") -> DeadLetter:
    return DeadLetter.of({"symbol": f"S{number}", "price": None}, reason, "22003")


def test_dead_letters_are_read_as_they_were_written_oldest_first(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "new folder" / "dead.jsonl")
    assert letters.listing() == []
    letters.add([])
    assert not (tmp_path / "new folder").exists()

    letters.add([letter(1), letter(2)])
    letters.add([letter(3)])

    assert [one.row["symbol"] for one in letters.listing()] == ["S1", "S2", "S3"]
    assert letters.listing()[0].sqlstate == "22003"


def test_only_the_owner_may_read_them(tmp_path: Path) -> None:
    path = tmp_path / "data" / "dead.jsonl"
    DeadLetters(path).add([letter(1)])
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "text", ["\x1b[2J\x07", "\x9b31m", "\ud800", "\u202e", "=HYPERLINK()", "[bold]", "ø\n"]
)
def test_whatever_a_row_holds_the_file_is_plain_ascii(tmp_path: Path, text: str) -> None:
    path = tmp_path / "dead.jsonl"
    DeadLetters(path).add([DeadLetter.of({"symbol": text}, text, None)])
    assert all(0x20 <= byte < 0x7F for byte in path.read_bytes()[:-1])
    assert DeadLetters(path).listing()[0].row["symbol"] == text


def test_they_are_counted_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    letters = DeadLetters(path)
    assert letters.count() == 0
    letters.add([letter(1), letter(2)])
    assert letters.count() == 2
    # a letter truncated by a crash counts until the next one overwrites it
    with path.open("a") as file:
        file.write('{"at"')
    assert letters.count() == 3
    path.unlink()
    path.mkdir()
    with pytest.raises(JournalError, match="cannot read"):
        letters.count()


def test_accepted_rows_are_removed_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    letters = DeadLetters(path)
    assert letters.replay(lambda _: True) == (0, 0)
    letters.add([letter(n) for n in range(5)])

    assert letters.replay(lambda one: one.row["symbol"] in {"S1", "S3"}) == (2, 3)

    assert [one.row["symbol"] for one in letters.listing()] == ["S0", "S2", "S4"]
    assert letters.replay(lambda _: False) == (0, 3)
    assert letters.replay(lambda _: True) == (3, 0)
    assert path.read_bytes() == b""
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kept", range(1, 80, 13))
def test_a_dead_letter_torn_by_a_crash_is_skipped_and_overwritten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kept: int
) -> None:
    """Its batch is not settled: the journal still has the row, which is rejected again."""
    path = tmp_path / "dead.jsonl"
    letters = DeadLetters(path)
    letters.add([letter(1)])
    whole = path.stat().st_size
    letters.add([letter(2)])
    os.truncate(path, whole + kept)

    assert [one.row["symbol"] for one in letters.listing()] == ["S1"]
    assert "was torn by a crash" in caplog.text
    letters.add([letter(3)])

    assert [one.row["symbol"] for one in letters.listing()] == ["S1", "S3"]
    assert path.stat().st_size == 2 * whole


def test_a_dead_letter_that_lacks_only_its_line_feed_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    letters = DeadLetters(path)
    letters.add([letter(1)])
    os.truncate(path, path.stat().st_size - 1)
    letters.add([letter(2)])
    assert [one.row["symbol"] for one in letters.listing()] == ["S1", "S2"]


@pytest.mark.parametrize("line", ["[]", "{}", "null", '{"at": 1, "more": 2}', "\xff"])
def test_a_line_that_is_no_dead_letter_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "dead.jsonl"
    path.write_text(line + "\n", "latin-1")
    with pytest.raises(JournalError, match="line 1 of"):
        DeadLetters(path).listing()


def test_a_new_file_is_durable_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    letters = DeadLetters(tmp_path / "dead.jsonl")
    letters.add([letter(1)])
    assert synced == [False, True], "the file, then its folder"
    letters.add([letter(2)])
    assert synced == [False, True, False]


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_a_full_disk_is_named_and_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "dead.jsonl"
    letters = DeadLetters(path)
    letters.add([letter(1), letter(2)])
    before = path.read_bytes()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(JournalError, match=r"cannot write .*dead.jsonl: No space left"):
            letters.add([letter(3)])
        with pytest.raises(JournalError, match="cannot write"):
            letters.replay(lambda one: one.row["symbol"] == "S1")

    assert path.read_bytes() == before


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="cannot open "):
        DeadLetters(tmp_path / "file" / "dead.jsonl").add([letter(1)])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
@pytest.mark.processes
def test_a_disk_that_is_really_full(tmp_path: Path, small_disk: Callable[[int], Path]) -> None:
    """No part of a letter that does not fit remains, and the next one that fits is complete."""
    folder = small_disk(64)
    letters = DeadLetters(folder / "dead.jsonl")
    letters.add([letter(1)])
    with pytest.raises(JournalError, match="No space left"):
        letters.add([letter(2, "x" * 100_000)])
    letters.add([letter(3)])
    assert [one.row["symbol"] for one in letters.listing()] == ["S1", "S3"]


def test_a_file_of_another_user_is_refused_with_the_remedy() -> None:
    folder = public_folder()
    folder.chmod(0)
    letters = DeadLetters(folder / "dead.jsonl")
    with ordinary_user():
        for read in (letters.listing, lambda: letters.replay(lambda _: True)):
            with pytest.raises(JournalError, match=r"dead\.jsonl: Permission denied; run as its owner"):
                read()
