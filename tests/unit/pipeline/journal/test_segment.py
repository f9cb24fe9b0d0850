"""One journal file: the batches that survive truncation, damage, a full disk and a second program."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.errors import JournalError
from sp500tui.pipeline.journal import segment as segment_module
from sp500tui.pipeline.journal.segment import Segment, orphaned_segments, scan

PAYLOADS = {1: b"one", 2: b"two" * 50, 3: b"", 4: b"SPJ1 looks like the start of a record"}


def file_of(folder: Path, payloads: dict[int, bytes], done: tuple[int, ...] = ()) -> Segment:
    segment = Segment.create(folder)
    for number, payload in payloads.items():
        segment.append(number, 1, payload)
    for number in done:
        segment.mark_committed(number)
    return segment


def abandon(segment: Segment) -> None:
    """Act like a killed process: its descriptor is closed, and nothing more is written."""
    os.close(segment._fd)
    segment._fd = -1


def test_batches_can_be_read_back(tmp_path: Path) -> None:
    segment = file_of(tmp_path, PAYLOADS)
    assert {number: segment.read(number) for number in segment.open_batches} == PAYLOADS
    assert segment.open_bytes == sum(map(len, PAYLOADS.values()))


def test_a_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    segment = file_of(tmp_path, {1: b"x"})
    assert segment.path.stat().st_mode & 0o777 == 0o600


def test_a_file_without_open_batches_is_removed_at_the_end(tmp_path: Path) -> None:
    file_of(tmp_path, PAYLOADS, done=tuple(PAYLOADS)).close()
    assert not list(tmp_path.iterdir())


def test_a_file_with_open_batches_is_left_for_the_next_start(tmp_path: Path) -> None:
    file_of(tmp_path, PAYLOADS, done=(1, 3)).close()
    (recovered,) = orphaned_segments(tmp_path)
    assert {number: recovered.read(number) for number in recovered.open_batches} == {
        2: PAYLOADS[2],
        4: PAYLOADS[4],
    }
    assert not recovered.damaged


def test_the_file_of_a_living_owner_is_left_alone(tmp_path: Path) -> None:
    segment = file_of(tmp_path, PAYLOADS)
    assert list(orphaned_segments(tmp_path)) == []
    assert Segment.recover(segment.path) is None
    assert Segment.recover(tmp_path / "gone.journal") is None


def test_a_file_that_was_removed_while_it_was_opened_is_not_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = file_of(tmp_path, PAYLOADS)
    abandon(segment)
    lock = fcntl.flock

    def remove_and_lock(fd: int, how: int) -> None:
        segment.path.unlink()
        lock(fd, how)

    monkeypatch.setattr(fcntl, "flock", remove_and_lock)
    assert Segment.recover(segment.path) is None


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"cannot write the journal in .*nowhere"):
        Segment.create(tmp_path / "nowhere")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "a.journal"
    folder.mkdir()
    with pytest.raises(JournalError, match=r"cannot read the journal file .*a.journal"):
        Segment.recover(folder)


@given(cut=st.integers(0, 400))
def test_a_cut_at_any_byte_loses_only_what_was_cut(cut: int) -> None:
    """Every batch entirely before the cut is read, unless its mark is before the cut too; no other is."""
    records: list[tuple[bytes, int, int]] = []
    data = b""
    for kind, number, payload in (
        (b"B", 1, b"one"),
        (b"B", 2, b"two" * 50),
        (b"D", 1, b""),
        (b"B", 3, b"three"),
        (b"D", 3, b""),
        (b"B", 4, b"four"),
    ):
        data += segment_module.frame(kind, number, 1, payload) + payload
        records.append((kind, number, len(data)))
    whole = [(kind, number) for kind, number, end in records if end <= cut]
    expected = {n for kind, n in whole if kind == b"B"} - {n for kind, n in whole if kind == b"D"}

    contents = scan(data[:cut])

    assert set(contents.open_batches) == expected
    assert not contents.damaged, "a torn tail is no damage"
    assert contents.end == max((end for _, _, end in records if end <= cut), default=0)


@given(st.data())
def test_damage_in_one_record_costs_that_record_only(data: st.DataObject) -> None:
    """Given any single changed byte, no payload is read altered, and all other batches are read."""
    payloads = {number: bytes([64 + number]) * 20 for number in range(1, 6)}
    frames = {n: segment_module.frame(b"B", n, 1, p) + p for n, p in payloads.items()}
    file = bytearray(b"".join(frames.values()))
    at = data.draw(st.integers(0, len(file) - 1))
    file[at] ^= data.draw(st.integers(1, 255))
    hit = 1 + at // len(frames[1])

    contents = scan(bytes(file))

    assert set(contents.open_batches) == set(payloads) - {hit}
    # A changed length or a last byte that became zero looks like a record truncated by a crash.
    assert contents.damaged or hit == 5
    for number, record in contents.open_batches.items():
        assert bytes(file[record.offset : record.offset + record.length]) == payloads[number]


WHOLE = segment_module.frame(b"B", 1, 1, b"one") + b"one"
LAST = segment_module.frame(b"B", 2, 1, b"two") + b"two"


@pytest.mark.parametrize(
    ("tail", "damaged"),
    [
        pytest.param(LAST[:2], False, id="cut within the mark of a record"),
        pytest.param(LAST[:10], False, id="cut within the header"),
        pytest.param(LAST[:-1], False, id="cut within the payload"),
        pytest.param(LAST[:-2] + b"\0\0", False, id="last bytes never written"),
        pytest.param(bytes(4096), False, id="block never written"),
        pytest.param(LAST[:-2] + b"??", True, id="changed payload"),
        pytest.param(b"?" + LAST[1:], True, id="changed mark"),
        pytest.param(LAST[:8] + b"?" + LAST[9:], True, id="changed number"),
        pytest.param(b"something else", True, id="no record"),
    ],
)
@pytest.mark.parametrize("before", [b"", WHOLE], ids=["alone", "after a record"])
def test_a_crash_and_damage_at_the_end_are_distinguished(
    tmp_path: Path, before: bytes, tail: bytes, damaged: bool
) -> None:
    path = tmp_path / "1-a.journal"
    path.write_bytes(before + tail)

    segment = Segment.recover(path)

    assert segment is not None
    assert segment.damaged == damaged
    assert len(segment.open_batches) == bool(before)
    segment.append(3, 1, b"three")
    for number in tuple(segment.open_batches):
        segment.mark_committed(number)
    assert not damaged or tail in path.read_bytes(), "what is damaged is kept as it is"
    segment.close()
    assert [each.suffix for each in tmp_path.iterdir()] == ([".damaged"] if damaged else [])


def test_only_files_are_recovered(tmp_path: Path) -> None:
    (tmp_path / "a.journal").mkdir()
    os.mkfifo(tmp_path / "b.journal")
    (tmp_path / "c.journal").symlink_to(tmp_path / "nowhere")
    assert list(orphaned_segments(tmp_path)) == []


@given(st.binary(max_size=300))
def test_no_bytes_make_the_scan_fail(data: bytes) -> None:
    assert scan(data).open_batches == {}


def test_a_torn_tail_is_overwritten_and_is_no_damage_later(tmp_path: Path) -> None:
    """Given a truncated last record, when an earlier batch is settled before another crash, the rest is intact."""
    segment = file_of(tmp_path, {1: b"one", 2: b"two", 3: b"three" * 20})
    os.truncate(segment.path, segment.size - 10)
    abandon(segment)
    recovered = Segment.recover(segment.path)
    assert recovered is not None
    recovered.mark_committed(1)
    abandon(recovered)

    again = Segment.recover(segment.path)

    assert again is not None
    assert set(again.open_batches) == {2}
    assert not again.damaged


def test_a_damaged_file_is_kept_aside_when_nothing_is_open_in_it(tmp_path: Path) -> None:
    segment = file_of(tmp_path, {1: b"one", 2: b"two"})
    abandon(segment)
    with segment.path.open("r+b") as file:
        file.seek(26)
        file.write(b"?")
    recovered = Segment.recover(segment.path)
    assert recovered is not None
    assert recovered.damaged

    recovered.mark_committed(2)
    recovered.close()

    assert [path.suffix for path in tmp_path.iterdir()] == [".damaged"]


def test_a_file_cut_from_outside_while_open_is_noticed(tmp_path: Path) -> None:
    segment = file_of(tmp_path, {1: b"one"})
    os.truncate(segment.path, 5)
    with pytest.raises(JournalError, match=r"batch 1 .* is damaged: it was truncated or changed"):
        segment.read(1)


def no_space(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(("call", "failed"), [("pwrite", False), ("fdatasync", True)])
def test_a_full_disk_rejects_the_batch_and_damages_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, failed: bool
) -> None:
    segment = file_of(tmp_path, {1: b"one"})
    with monkeypatch.context() as full:
        full.setattr(os, call, no_space)
        with pytest.raises(
            JournalError, match=r"the disk of the journal is full .* nothing is lost, intake waits"
        ):
            segment.append(2, 1, b"two")
    assert segment.failed is failed
    if failed:
        # The result of a later sync is not reliable.
        with pytest.raises(JournalError, match="is full"):
            segment.append(3, 1, b"three")
    else:
        segment.append(3, 1, b"three")
    abandon(segment)

    recovered = Segment.recover(segment.path)

    assert recovered is not None
    assert set(recovered.open_batches) == ({1} if failed else {1, 3})


def test_a_failed_sync_fails_every_batch_that_it_may_have_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux reports a failed write to one sync only: the next succeeds, although the other batch is lost too."""
    # given a disk that fails while the batches of two writers are written but not durable
    segment = file_of(tmp_path, {1: b"one"})
    errors = [OSError(errno.EIO, "Input/output error")]
    outcomes: dict[int, str] = {}

    def fail_once(_descriptor: int) -> None:
        deadline = time.monotonic() + 20
        while len(segment.open_batches) + len(outcomes) < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
        if errors:
            raise errors.pop()

    def write(number: int) -> None:
        try:
            segment.append(number, 1, b"x")
            outcomes[number] = ""
        except JournalError as error:
            outcomes[number] = str(error)

    # when both are synced
    monkeypatch.setattr(os, "fdatasync", fail_once)
    writers = [threading.Thread(target=write, args=(number,)) for number in (2, 3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)

    # then neither is acknowledged, and the batch that was already durable remains
    assert sorted(outcomes) == [2, 3]
    assert all("Input/output error" in outcome for outcome in outcomes.values())
    assert set(segment.open_batches) == {1}
    assert segment.read(1) == b"one"


def test_a_write_that_stops_half_way_leaves_nothing_of_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = file_of(tmp_path, {1: b"one"})
    size, real, calls = segment.path.stat().st_size, os.pwrite, iter((True, False))

    def half(fd: int, data: memoryview, at: int) -> int:
        return real(fd, data[:10], at) if next(calls) else no_space()

    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", half)
        with pytest.raises(JournalError):
            segment.append(2, 1, b"two")

    assert segment.path.stat().st_size == size


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EIO, r"cannot be written .*: Input/output error; make the folder writable, or name another"),
        (
            errno.EROFS,
            r"cannot be written .*: Read-only file system; make the folder writable, or name another",
        ),
        (errno.EFBIG, r"cannot be written .*: File too large; raise the size that a file may have"),
    ],
)
def test_a_disk_that_fails_otherwise_is_named_with_its_reason_and_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    segment = file_of(tmp_path, {})

    def broken(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwrite", broken)
    with pytest.raises(JournalError, match=message):
        segment.append(1, 1, b"one")


@pytest.mark.parametrize(("where", "call"), [(fcntl, "flock"), (Path, "rename"), (os, "fsync")])
def test_a_file_that_cannot_be_made_leaves_no_file_and_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, call: str
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as sick:
        sick.setattr(where, call, broken)
        before = psutil.Process().num_fds()
        for _ in range(3):
            with pytest.raises(JournalError, match=r"cannot write the journal in .*: Input/output error"):
                Segment.create(tmp_path)
        assert psutil.Process().num_fds() <= before
    assert not list(tmp_path.iterdir())


def test_a_file_of_a_failing_disk_is_named_and_leaves_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = file_of(tmp_path, {1: b"one"})
    abandon(segment)

    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", broken)
    before = psutil.Process().num_fds()
    with pytest.raises(
        JournalError, match=f"cannot read the journal file {segment.path}: Input/output error"
    ):
        Segment.recover(segment.path)
    assert psutil.Process().num_fds() <= before


def test_a_mark_that_does_not_fit_costs_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It only causes a committed batch to be replayed after a crash, which the database ignores as duplicates."""
    segment = file_of(tmp_path, {1: b"one", 2: b"two"})
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", no_space)
        segment.mark_committed(1)
    assert set(segment.open_batches) == {2}
    abandon(segment)

    recovered = Segment.recover(segment.path)

    assert recovered is not None
    assert set(recovered.open_batches) == {1, 2}


def test_a_big_file_without_open_batches_is_emptied_for_reuse(tmp_path: Path) -> None:
    segment = file_of(tmp_path, {1: b"x" * (2 << 20)})
    segment.mark_committed(1)
    assert segment.path.stat().st_size == 0
    segment.append(2, 1, b"two")
    assert segment.read(2) == b"two"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
@pytest.mark.processes
def test_a_disk_that_is_really_full(tmp_path: Path, small_disk: Callable[[int], Path]) -> None:
    folder = small_disk(64)
    segment = Segment.create(folder)

    def fill() -> None:
        for number in range(100):
            segment.append(number, 1, b"x" * 4000)

    with pytest.raises(JournalError, match="the disk of the journal is full"):
        fill()
    written = len(segment.open_batches)
    assert written > 5
    segment.mark_committed(0)
    abandon(segment)

    recovered = Segment.recover(segment.path)

    assert recovered is not None
    assert set(range(1, written)) <= set(recovered.open_batches) <= set(range(written))


def test_a_file_is_closed_once_and_accepts_nothing_afterwards(tmp_path: Path) -> None:
    """Given a file with a batch, when it was closed, then a late writer's calls touch no other file."""
    segment = Segment.create(tmp_path)
    segment.append(1, 1, b"one")
    segment.close()
    with (tmp_path / "other").open("w+b") as other:
        segment.close()
        with pytest.raises(JournalError, match="is closed"):
            segment.append(2, 1, b"two")
        assert not segment.removed
        other.seek(0)
        assert other.read() == b""
    (left,) = orphaned_segments(tmp_path)
    assert [left.read(number) for number in left.open_batches] == [b"one"]
    left.close()


def test_a_file_closed_under_concurrent_writes_holds_every_acknowledged_batch(tmp_path: Path) -> None:
    """Given writers at work, when the file is closed, then each batch was kept or refused, never both."""
    for round_number in range(10):
        folder = tmp_path / str(round_number)
        folder.mkdir()
        segment = Segment.create(folder)
        kept: list[int] = []
        begun = threading.Barrier(4)

        def write(first: int, segment: Segment = segment, kept: list[int] = kept) -> None:
            begun.wait(10)  # noqa: B023  # every round joins its threads
            for number in range(first, first + 50):
                try:
                    segment.append(number, 1, b"x" * 100)
                except JournalError:
                    return
                kept.append(number)

        writers = [threading.Thread(target=write, args=(first,)) for first in (1, 1001, 2001)]
        for writer in writers:
            writer.start()
        begun.wait(10)
        segment.close()
        for writer in writers:
            writer.join(20)
        found = list(orphaned_segments(folder))
        assert sorted(number for each in found for number in each.open_batches) == sorted(kept)
        for each in found:
            each.close()
