"""Recordings in files and in memory: their limits, and the losses by damage and a full disk."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sp500tui.logs.setup import NoLog
from sp500tui.remote.recording import reader
from sp500tui.remote.recording.blocks import (
    BLOCK_SIZE,
    MAGIC,
    VERSION,
    RecordingError,
    file_header,
    moments_of,
)
from sp500tui.remote.recording.moments import Moment
from sp500tui.remote.recording.reader import Recording
from sp500tui.remote.recording.recorder import Recorder
from sp500tui.remote.recording.stores import RecentBlocks, RecordingFolder, StoredBlock, save
from tests.support.remote.recorded import (
    FACTS,
    START,
    FakeLife,
    half_a_minute,
    recorded,
    recording,
    replayed,
    twelve_minutes,
    written,
)
from tests.support.tui.fake_pipeline import NOON, FakePipeline, live_price


class TestFiles:
    def test_a_file_holds_what_was_recorded(self, tmp_path: Path) -> None:
        blocks, snapshots = recorded(720)
        path = written(tmp_path, blocks)
        assert path.stat().st_mode & 0o777 == 0o600
        found = Recording.open(path)
        assert (found.moments, found.events) == (720, 48)
        assert (found.first, found.last) == (START + 1, START + 720)
        shown = replayed(found)
        shown.playback.seek(found.last)
        assert shown.snapshot() == snapshots[-1]

    @settings(max_examples=30)
    @given(cut=st.integers(0, 100_000))
    def test_a_truncated_file_is_complete_up_to_its_last_block(
        self, tmp_path_factory: pytest.TempPathFactory, cut: int
    ) -> None:
        # given a file that ends anywhere
        blocks, snapshots = half_a_minute()
        whole = file_header(FACTS) + b"".join(block.encoded() + payload for block, payload in blocks)
        path = tmp_path_factory.mktemp("torn") / "torn.sp5"
        path.write_bytes(whole[: cut % (len(whole) + 1)])
        # when it is opened, then it shows its last complete block, or reports that there is none
        if path.stat().st_size < len(file_header(FACTS)) + BLOCK_SIZE + blocks[0][0].length:
            with pytest.raises(RecordingError, match=str(path)):
                Recording.open(path)
            return
        found = Recording.open(path)
        shown = replayed(found)
        shown.playback.seek(found.last)
        assert shown.snapshot() == snapshots[found.moments - 1]

    @settings(max_examples=30)
    @given(position=st.integers(0, 100_000), byte=st.integers(0, 255))
    def test_a_damaged_byte_costs_at_most_its_chunk(
        self, tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
    ) -> None:
        blocks, snapshots = half_a_minute()
        damaged = bytearray(
            file_header(FACTS) + b"".join(block.encoded() + payload for block, payload in blocks)
        )
        damaged[position % len(damaged)] = byte
        path = tmp_path_factory.mktemp("damaged") / "damaged.sp5"
        path.write_bytes(damaged)
        try:
            shown = replayed(Recording.open(path))
            shown.playback.seek(START + 30)
            shown.check(path)
        except RecordingError:
            return
        assert shown.snapshot() in snapshots

    def test_a_damaged_length_costs_at_most_its_chunk(self, tmp_path: Path) -> None:
        # given a file of two chunks, of which the first block announces more bytes than the file has
        blocks, snapshots = recorded(720)
        first, payload = blocks[0]
        damaged = [(first._replace(length=1 << 30), payload), *blocks[1:]]
        path = tmp_path / "damaged.sp5"
        path.write_bytes(
            file_header(FACTS) + b"".join(block.encoded() + payload for block, payload in damaged)
        )
        # when it is opened
        shown = replayed(Recording.open(path))
        shown.playback.seek(START + 720)
        # then the second chunk is shown
        assert shown.snapshot() == snapshots[-1]

    @pytest.mark.parametrize("checked", [True, False], ids=["with a checksum", "of before the checksum"])
    @pytest.mark.parametrize("place", [BLOCK_SIZE - 16, BLOCK_SIZE - 8], ids=["first", "last"])
    @pytest.mark.parametrize("time", [0.0, START + 10_000, 1e300, math.inf, math.nan])
    def test_a_damaged_time_hides_no_later_block(
        self, tmp_path: Path, checked: bool, place: int, time: float
    ) -> None:
        # given a file of two chunks, in the first of which the header of a block has another time
        blocks, snapshots = twelve_minutes()
        headers = [bytearray(block.encoded()) for block, _ in blocks]
        headers[3][place : place + 8] = struct.pack("!d", time)
        for header in headers if not checked else ():
            header[14:16] = bytes(2)
        path = tmp_path / "damaged.sp5"
        path.write_bytes(
            file_header(FACTS)
            + b"".join(header + payload for header, (_, payload) in zip(headers, blocks, strict=True))
        )
        # when it is opened
        found = Recording.open(path)
        # then the part before the block and the second chunk are shown
        assert (found.first, found.last) == (START + 1, START + 720)
        shown = replayed(found)
        for second in (12, 700, 720):
            shown.playback.seek(START + second)
            assert shown.snapshot() == snapshots[second - 1]

    def test_a_damaged_length_within_the_file_costs_at_most_its_chunk(self, tmp_path: Path) -> None:
        # given a file of two chunks, whose first block announces half of the file
        blocks, snapshots = twelve_minutes()
        content = bytearray(
            file_header(FACTS) + b"".join(block.encoded() + payload for block, payload in blocks)
        )
        begin = len(file_header(FACTS))
        content[begin + 16 : begin + 20] = struct.pack("!I", len(content) - begin - 1_000)
        path = tmp_path / "damaged.sp5"
        path.write_bytes(content)
        # when it is opened, then the second chunk is shown
        shown = replayed(Recording.open(path))
        shown.playback.seek(START + 720)
        assert shown.snapshot() == snapshots[-1]

    def test_a_file_that_is_truncated_while_it_is_shown_counts_as_damaged(self, tmp_path: Path) -> None:
        blocks, snapshots = twelve_minutes()
        path = written(tmp_path, blocks)
        shown = replayed(Recording.open(path))
        os.truncate(path, path.stat().st_size // 2)
        shown.playback.seek(START + 720)
        assert shown.snapshot() in snapshots
        os.truncate(path, 0)
        shown.playback.seek(START + 719)
        with pytest.raises(RecordingError, match="damaged from its beginning to its end"):
            shown.snapshot()

    def test_a_clock_that_is_set_back_begins_a_new_file(self, tmp_path: Path) -> None:
        # given a run of 40 s, in whose tenth second the clock is set back by an hour
        def notes(life: FakeLife) -> None:
            if life.second >= 10:
                earlier = life.pipeline.now_shows.taken_at - timedelta(hours=1)
                life.pipeline.now_shows = replace(life.pipeline.now_shows, taken_at=earlier)
                life.line(f"second {life.second}")

        blocks, snapshots = recorded(40, notes=notes)
        # when it is recorded to files, of which one is kept, and in memory
        folder, recent = RecordingFolder(tmp_path, FACTS, lambda: None), RecentBlocks()
        for block, payload in blocks:
            folder.append(block, payload)
            recent.append(block, payload)
        folder.close()
        # then both continue after the change, and only the moments of its detection are missing
        earlier, later = sorted(map(Recording.open, tmp_path.glob("*.sp5")), key=lambda each: -each.first)
        assert (earlier.first, earlier.last) == (START + 1, START + 9)
        for found in (later, Recording.of_blocks(FACTS, recent.blocks())):
            assert found.last == START + 40 - 3600
            shown = replayed(found)
            assert shown.snapshot().taken_at < NOON
            shown.playback.seek(found.last)
            assert shown.snapshot() == snapshots[-1]
            assert [line.message for line in shown.since(0)[1]] == [f"second {n}" for n in range(10, 41)]

    def test_the_file_that_is_written_is_not_the_one_removed_as_the_oldest(self, tmp_path: Path) -> None:
        blocks, _ = recorded(5)
        newer = written(tmp_path, blocks)
        os.utime(newer, (2**33, 2**33))
        # A clock that was set back makes the newest file look like the oldest.
        assert save(tmp_path, FACTS, blocks, prefix="test", keep=1) is not None
        assert [path.name for path in tmp_path.glob("*.sp5")] != [newer.name]

    def test_a_full_disk_is_tried_again_although_the_clock_was_set_back(self, tmp_path: Path) -> None:
        # given a folder whose disk was full
        begun: list[bool] = []
        folder = RecordingFolder(tmp_path, FACTS, lambda: begun.append(True))
        (first, payload), *_ = half_a_minute()[0]
        tmp_path.rmdir()
        folder.append(first, payload)
        tmp_path.mkdir()
        middle = first._replace(number=1)
        for seconds, again in ((59.0, False), (61.0, True), (-3600.0, True)):
            begun.clear()
            at = first.last + seconds
            # when a block arrives some seconds later by the clock, then a new file is begun or not
            folder.append(middle._replace(first=at, last=at), payload)
            assert bool(begun) is again, seconds

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is empty"),
            (MAGIC[:4], "ends before its first moment"),
            (MAGIC, "ends before its first moment"),
            (file_header(FACTS), "ends before its first moment"),
            (file_header(FACTS)[:-3], "ends before its first moment"),
            (b"SQLite format 3\0" + bytes(100), "is not a recording of sp500tui"),
            (b"\x89PNG\r\n\x1a\n" + bytes(100), "is not a recording of sp500tui"),
            (bytes(range(256)) * 2, "is not a recording of sp500tui"),
            (
                MAGIC + (VERSION + 1).to_bytes(2) + bytes(100),
                f"has format {VERSION + 1}, this program reads up to {VERSION}; update sp500tui",
            ),
            (MAGIC + b"\x00\x01\x00\x00\x00\x03" + b"\xc1\xc1\xc1", "header of the recording"),
        ],
    )
    def test_what_is_no_recording_is_named(self, tmp_path: Path, content: bytes, message: str) -> None:
        path = tmp_path / "file"
        path.write_bytes(content)
        with pytest.raises(RecordingError, match=message) as caught:
            Recording.open(path)
        assert str(path) in str(caught.value)

    def test_a_missing_file_and_a_folder_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(RecordingError, match="cannot be read: No such file"):
            Recording.open(tmp_path / "none.sp5")
        with pytest.raises(RecordingError, match="is a folder without recordings"):
            Recording.open(tmp_path)
        path = written(tmp_path, recorded(5)[0])
        with pytest.raises(RecordingError, match=f"is a folder; name a file, such as {path}"):
            Recording.open(tmp_path)

    def test_a_device_and_a_file_behind_a_closed_folder_are_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(RecordingError, match="/dev/null is not a regular file"):
            Recording.open(Path("/dev/null"))

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "stat", refuse)
        with pytest.raises(RecordingError, match="cannot be read: Permission denied"):
            Recording.open(tmp_path / "a.sp5")

    def test_values_of_another_version_are_named(self, tmp_path: Path) -> None:
        # given a recording whose snapshots have another form
        life = FakeLife()
        life.live()
        life.pipeline.now_shows = replace(life.pipeline.now_shows, uptime="long")  # type: ignore[arg-type]
        blocks, _ = recorded(
            1,
            life,
            lambda each: setattr(
                each.pipeline,
                "now_shows",
                replace(each.pipeline.now_shows, uptime="long"),  # type: ignore[arg-type]
            ),
        )
        path = written(tmp_path, blocks)
        with pytest.raises(RecordingError, match=r"was written by sp500tui 0\.1\.0.*cannot read"):
            replayed(Recording.open(path)).check(path)

    def test_a_file_for_two_days_and_only_so_many(self, tmp_path: Path) -> None:
        # given a folder that keeps two files
        renewed: list[int] = []
        folder = RecordingFolder(tmp_path, FACTS, lambda: renewed.append(1), keep=2)
        (block, payload), *_ = recorded(6)[0]
        # when ten days pass
        for number in range(5):
            first = START + number * 2 * 86_400
            folder.append(block._replace(first=first, last=first + 2 * 86_400), payload)
        folder.close()
        # then the newest two are left, and no chunk was requested: each began with one
        assert len(list(tmp_path.iterdir())) == 2
        assert not renewed

    def test_a_full_disk_costs_the_recording_only(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        renewed: list[int] = []
        folder = RecordingFolder(tmp_path, FACTS, lambda: renewed.append(1))
        blocks, _ = recorded(30)

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        # given a disk that becomes full
        folder.append(*blocks[0])
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            folder.append(*blocks[1])
            folder.append(*blocks[2])
        assert "is interrupted: No space left on device" in caplog.text
        # when a minute has passed, then the next chunk is written to a new file
        later = blocks[3][0]._replace(first=START + 100, last=START + 104)
        folder.append(later, blocks[3][1])
        assert renewed
        folder.append(blocks[0][0]._replace(first=START + 105, last=START + 109), blocks[0][1])
        folder.close()
        assert [Recording.open(path).moments for path in sorted(tmp_path.iterdir())] == [5, 5]


class TestLongRecordings:
    HOURS = 48
    STEP = 20
    """Seconds between two moments: a twentieth of what a run of that length has, in as many chunks."""

    @pytest.fixture(scope="class")
    def path(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The file of a recorder whose pipeline ran for two days."""
        folder = tmp_path_factory.mktemp("two-days")
        pipeline = FakePipeline(prices=())
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(os, "fdatasync", lambda _: None)
            with Recorder(pipeline, FACTS.run, NoLog(), folder=folder) as recorder:
                for second in range(0, self.HOURS * 3600, self.STEP):
                    pipeline.now_shows = replace(
                        pipeline.now_shows, taken_at=NOON + timedelta(seconds=second), uptime=float(second)
                    )
                    pipeline.prices = [live_price("AAPL", Decimal(second + 1), 1.0, second + 1)]
                    recorder.record()
        (path,) = folder.iterdir()
        return path

    def test_any_moment_costs_one_chunk(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # given a recording of two days in one file
        decoded: list[int] = []

        def counting(blocks: list[StoredBlock]) -> Iterator[Moment]:
            decoded.append(len(blocks))
            return moments_of(blocks)

        monkeypatch.setattr(reader, "moments_of", counting)
        shown = replayed(Recording.open(path))
        last = self.HOURS * 3600 - self.STEP
        assert (shown.recording.first, shown.recording.last) == (START, START + last)
        for second in (last, 0, 43_207, 86_399, 130_000, 5, 172_000):
            # when a moment of it is shown
            decoded.clear()
            shown.playback.seek(START + second)
            # then it is the right one, and only the ten minutes around it were read
            expected = second // self.STEP * self.STEP
            assert shown.snapshot().uptime == expected
            assert [price.row.quote.price for price in shown.prices_since(0)[1]] == [expected + 1]
            assert len(decoded) == 1
            assert decoded[0] <= 600 // self.STEP + 2


class TestMemory:
    def test_it_keeps_the_last_minutes(self) -> None:
        recent = RecentBlocks(seconds=60)
        (block, payload), (further, more), *_ = recorded(12)[0]
        for minute in range(5):
            first = START + minute * 60
            recent.append(block._replace(first=first, last=first + 5), payload)
            recent.append(further._replace(first=first + 5, last=first + 60), more)
        kept = recent.blocks()
        assert kept[0][0].begins_chunk
        assert kept[0][0].first >= START + 3 * 60
        assert recent.bytes == sum(len(each) for _, each in kept)

    def test_it_is_bounded(self) -> None:
        recent = RecentBlocks(limit_bytes=10_000)
        (block, _), *_ = recorded(6)[0]
        for number in range(100):
            recent.append(block._replace(first=START + number, last=START + number), bytes(3_000))
        assert recent.bytes <= 10_000
        assert recent.blocks()[-1][0].first == START + 99


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    def notes(life: FakeLife) -> None:
        if life.second == 10:
            earlier = life.pipeline.now_shows.taken_at - timedelta(hours=1)
            life.pipeline.now_shows = replace(life.pipeline.now_shows, taken_at=earlier)

    found = recording(20, notes)
    assert found.first == START + 1
    assert found.last == START + 20
    assert json.dumps(found.moments)
