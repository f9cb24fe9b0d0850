"""Dead letters during a replay: counting reads only new letters, and no writer waits for the replay."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.errors import DatabaseError
from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters


def letter(number: int) -> DeadLetter:
    return DeadLetter("2026-11-20T15:30:00+00:00", "refused", "22003", {"symbol": f"S{number}"})


def symbols(letters: DeadLetters) -> list[str | None]:
    return [each.row["symbol"] for each in letters.listing()]


@pytest.fixture
def letters(tmp_path: Path) -> DeadLetters:
    return DeadLetters(tmp_path / "dead-letters.jsonl")


def test_a_dead_letter_can_be_added_during_a_replay(letters: DeadLetters) -> None:
    # Given three letters, and a replay that is blocked at the second one
    letters.add([letter(1), letter(2), letter(3)])
    at_second, go_on = threading.Event(), threading.Event()

    def accept(each: DeadLetter) -> bool:
        if each.row["symbol"] == "S2":
            at_second.set()
            assert go_on.wait(60)
            return False
        return True

    outcome: list[tuple[int, int]] = []
    replay = threading.Thread(target=lambda: outcome.append(letters.replay(accept)), daemon=True)
    replay.start()
    assert at_second.wait(60)

    # When another program adds one, then it does not wait
    adding = threading.Thread(target=lambda: DeadLetters(letters.path).add([letter(4)]), daemon=True)
    adding.start()
    adding.join(10)
    assert not adding.is_alive()
    go_on.set()
    replay.join(20)

    # Then the accepted letters are removed, and the new one is kept
    assert outcome == [(2, 1)]
    assert symbols(letters) == ["S2", "S4"]


def test_two_concurrent_replays_lose_nothing(letters: DeadLetters) -> None:
    letters.add([letter(1), letter(2), letter(2), letter(3)])

    def accept(each: DeadLetter) -> bool:
        if each.row["symbol"] == "S1":
            DeadLetters(letters.path).replay(lambda other: other.row["symbol"] in ("S1", "S2"))
        return each.row["symbol"] != "S3"

    assert letters.replay(accept) == (3, 1)
    assert symbols(letters) == ["S3"]


def test_rows_accepted_before_the_database_failed_are_removed(letters: DeadLetters) -> None:
    letters.add([letter(1), letter(2), letter(3)])

    def accept(each: DeadLetter) -> bool:
        if each.row["symbol"] == "S3":
            raise DatabaseError("gone", "08006")
        return each.row["symbol"] == "S2"

    with pytest.raises(DatabaseError):
        letters.replay(accept)
    assert symbols(letters) == ["S1", "S3"]


def test_an_unchanged_file_is_not_read_again(letters: DeadLetters, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a large file that was counted once
    letters.add([letter(number) for number in range(5_000)])
    assert letters.count() == 5_000
    read: list[int] = []
    real = os.pread

    def counting(fd: int, length: int, at: int) -> bytes:
        piece = real(fd, length, at)
        read.append(len(piece))
        return piece

    monkeypatch.setattr(os, "pread", counting)

    # When it is counted again, then nothing is read, and after another letter little more than that letter
    assert letters.count() == 5_000
    assert read == []
    with letters.path.open("ab") as file:
        file.write(b"{}\n")
    assert letters.count() == 5_001
    assert sum(read) < 2_000


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "replay", "tear", "remove", "count"]), st.integers(0, 5)),
        max_size=15,
    )
)
def test_the_count_is_that_of_the_lines_whatever_happens_between(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    letters = DeadLetters(tmp_path_factory.mktemp("letters") / "dead-letters.jsonl")
    added = 0
    for what, number in steps:
        if what == "add":
            letters.add([letter(added + each) for each in range(number)])
            added += number
        elif what == "replay":
            letters.replay(lambda each, number=number: int(str(each.row["symbol"])[1:]) % 6 < number)  # type: ignore[misc]
        elif what == "tear" and letters.path.exists():
            with letters.path.open("ab") as file:
                file.write(b"{" * number)
        elif what == "remove":
            letters.path.unlink(missing_ok=True)
        data = letters.path.read_bytes() if letters.path.exists() else b""
        assert letters.count() == data.count(b"\n") + (data[-1:] not in (b"", b"\n"))
