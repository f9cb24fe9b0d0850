"""Finds the state at any time of a recording, in a file or in memory."""

from __future__ import annotations

import mmap
import os
import stat
import weakref
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from sp500tui.remote.recording.blocks import (
    BLOCK_SIZE,
    FILE_HEADER,
    MAGIC,
    MARK,
    VERSION,
    Block,
    FileFacts,
    RecordingError,
    moments_of,
)
from sp500tui.remote.recording.moments import Moment, errors, notable
from sp500tui.remote.recording.stores import SUFFIX, StoredBlock
from sp500tui.remote.wire import ProtocolError, decode


class _NoBlocksError(RecordingError):
    """No block can be read."""


class Recording:
    """The blocks of a recording in the order of time; the moments of one chunk are kept decoded."""

    def __init__(self, facts: FileFacts, blocks: Sequence[Block], payload: Callable[[int], bytes]) -> None:
        """`payload`: reads that of the block at an index of `blocks`.

        Raises:
            RecordingError: no block can be read.
        """
        self.facts = facts
        self._payload = payload
        self._indices, self._chunks = _readable(blocks)
        self._blocks = [blocks[index] for index in self._indices]
        self._firsts = [block.first for block in self._blocks]
        self._chunk: tuple[int, list[Moment]] = (-1, [])

    @classmethod
    def of_blocks(cls, facts: FileFacts, stored: Sequence[StoredBlock]) -> Recording:
        """A recording in memory.

        Raises:
            RecordingError: there are no blocks yet.
        """
        return cls(facts, [block for block, _ in stored], lambda index: stored[index][1])

    @classmethod
    def open(cls, path: Path) -> Recording:
        """Open a file; anything after its last complete block is ignored.

        Raises:
            RecordingError: one line with the file, the reason and the remedy.
        """
        descriptor = _opened(path)
        try:
            with _mapped(path, descriptor) as data:
                facts, begin = _file_facts(path, data)
                blocks, starts = _blocks(data, begin)
            recording = cls(
                facts, blocks, lambda index: _read(descriptor, starts[index], blocks[index].length)
            )
        except _NoBlocksError:
            os.close(descriptor)
            raise _too_short(path) from None
        except BaseException:
            os.close(descriptor)
            raise
        weakref.finalize(recording, os.close, descriptor)
        return recording

    @property
    def first(self) -> float:
        """POSIX time of the first moment."""
        return self._firsts[0]

    @property
    def last(self) -> float:
        """POSIX time of the last moment."""
        return self._blocks[-1].last

    @property
    def moments(self) -> int:
        """Number of moments."""
        return sum(block.moments for block in self._blocks)

    @property
    def events(self) -> int:
        """Number of events."""
        return sum(block.events for block in self._blocks)

    def moments_until(self, at: float) -> list[Moment]:
        """The moments from the beginning of a chunk to the last one not after `at`; the first one if `at` is before it.

        Never empty.
        """
        index = max(0, bisect_right(self._firsts, at) - 1)
        moments = self._moments_of_chunk(self._chunks[index])
        if not moments:
            moments = self._nearest_moments(index)
        count = max(1, bisect_right([moment.at for moment in moments], at))
        return moments[:count]

    def _nearest_moments(self, index: int) -> list[Moment]:
        """The moments of the nearest readable chunk before a damaged one, or else after it."""
        chunks = sorted(set(self._chunks))
        before = [chunk for chunk in reversed(chunks) if chunk < self._chunks[index]]
        after = [chunk for chunk in chunks if chunk > self._chunks[index]]
        for chunk in (*before, *after):
            if moments := self._moments_of_chunk(chunk):
                return moments
        raise RecordingError(
            "the recording is damaged from its beginning to its end; there is nothing to show"
        )

    def _moments_of_chunk(self, chunk: int) -> list[Moment]:
        if self._chunk[0] != chunk:
            members = range(chunk, bisect_right(self._chunks, chunk))
            self._chunk = (
                chunk,
                list(moments_of([(self._blocks[i], self._payload(self._indices[i])) for i in members])),
            )
        return self._chunk[1]

    def step(self, at: float, direction: int) -> float:
        """Time of the moment after (+1) or before (-1) `at`; the last or first one if there is none."""
        return self._search(at, direction, lambda _: True, lambda _: True)

    def next_event(self, at: float, direction: int) -> float | None:
        """Time of the next (+1) or previous (-1) moment with an event that is not part of the routine."""
        return self._find(at, direction, lambda block: block.notable > 0, lambda m: notable(m.new.events) > 0)

    def next_error(self, at: float, direction: int) -> float | None:
        """Time of the next (+1) or previous (-1) moment with an error, as an event or in the log."""
        return self._find(
            at, direction, lambda block: block.errors > 0, lambda m: errors(m.new.events, m.new.lines) > 0
        )

    def _search(
        self,
        at: float,
        direction: int,
        in_block: Callable[[Block], bool],
        in_moment: Callable[[Moment], bool],
    ) -> float:
        found = self._find(at, direction, in_block, in_moment)
        return found if found is not None else self.last if direction > 0 else self.first

    def _find(
        self,
        at: float,
        direction: int,
        in_block: Callable[[Block], bool],
        in_moment: Callable[[Moment], bool],
    ) -> float | None:
        order = range(len(self._blocks))
        for index in order if direction > 0 else reversed(order):
            block = self._blocks[index]
            if (block.last <= at if direction > 0 else block.first >= at) or not in_block(block):
                continue
            moments = [
                moment.at
                for moment in self._moments_of_chunk(self._chunks[index])
                if block.first <= moment.at <= block.last
                and (moment.at > at if direction > 0 else moment.at < at)
                and in_moment(moment)
            ]
            if moments:
                return moments[0] if direction > 0 else moments[-1]
        return None

    def marks(self, cells: int) -> list[tuple[bool, bool]]:
        """For each of `cells` equal parts of the time: whether it has notable events, and whether it has errors."""
        found = [(False, False)] * cells
        span = max(self.last - self.first, 1e-9)
        for block in self._blocks:
            cell = min(cells - 1, int((block.first - self.first) / span * cells))
            event, error = found[cell]
            found[cell] = event or block.notable > 0, error or block.errors > 0
        return found


def _readable(blocks: Sequence[Block]) -> tuple[list[int], list[int]]:
    """The indices of the readable blocks, and for each the position of the first one of its chunk among them.

    Blocks before the first beginning of a chunk cannot be read.
    """
    indices: list[int] = []
    chunks: list[int] = []
    chunk = -1
    for index in _in_order(blocks):
        if blocks[index].begins_chunk:
            chunk = len(indices)
        if chunk >= 0:
            indices.append(index)
            chunks.append(chunk)
    if not indices:
        raise _NoBlocksError("nothing is recorded yet")
    return indices, chunks


def _in_order(blocks: Sequence[Block]) -> Sequence[int]:
    """The indices of as many blocks as possible, each of which begins after the end of its predecessor.

    A damaged time, which headers without a checksum may have, thus hides its own block and none of the others.
    """
    if all(before.last <= after.first for before, after in pairwise(blocks)):
        return range(len(blocks))
    # By length of sequence: the earliest time at which one ends, and its last block.
    ends: list[float] = []
    members: list[int] = []
    # For each block, its predecessor in the longest sequence that it ends; -1 for none.
    before: list[int] = []
    for index, block in enumerate(blocks):
        length = bisect_right(ends, block.first)
        before.append(members[length - 1] if length else -1)
        if length == len(ends):
            ends.append(block.last)
            members.append(index)
        elif block.last < ends[length]:
            ends[length], members[length] = block.last, index
    order, index = [], members[-1]
    while index >= 0:
        order.append(index)
        index = before[index]
    return order[::-1]


def _opened(path: Path) -> int:
    """A descriptor of the file."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            newest = max(path.glob(f"*{SUFFIX}"), key=lambda each: each.stat().st_mtime, default=None)
            hint = f"; name a file, such as {newest}" if newest else f" without recordings (*{SUFFIX})"
            raise RecordingError(f"{path} is a folder{hint}")
        if not stat.S_ISREG(mode):
            raise RecordingError(f"{path} is not a regular file; copy the recording to one")
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise RecordingError(f"the recording {path} cannot be read: {error.strerror}") from None


def _mapped(path: Path, descriptor: int) -> mmap.mmap:
    try:
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise RecordingError(f"the recording {path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise RecordingError(f"the recording {path} is empty; there is nothing to show") from None


def _blocks(data: mmap.mmap, offset: int) -> tuple[list[Block], list[int]]:
    """The headers of all blocks from `offset` on, and the offsets of their payloads."""
    blocks: list[Block] = []
    starts: list[int] = []
    end = len(data)
    while offset < end:
        block = Block.decoded(data, offset)  # type: ignore[arg-type]  # a map is read like bytes
        start = offset + BLOCK_SIZE
        if block is None or start + block.length > end:
            # Damaged, or torn at the end: continue at the next block that can be found.
            offset = data.find(MARK, offset + 1)
            if offset < 0:
                break
            continue
        offset = start + block.length
        blocks.append(block)
        starts.append(start)
    return blocks, starts


def _read(descriptor: int, start: int, length: int) -> bytes:
    """The payload of a block, or less, which counts as damaged: the file was truncated, or its disk fails.

    Not read from a memory map, where either would kill the process.
    """
    try:
        return os.pread(descriptor, length, start)
    except OSError:
        return b""


def _too_short(path: Path) -> RecordingError:
    return RecordingError(f"the recording {path} ends before its first moment; there is nothing to show")


def _file_facts(path: Path, data: mmap.mmap) -> tuple[FileFacts, int]:
    if len(data) < FILE_HEADER.size and MAGIC.startswith(data[: len(MAGIC)]):
        raise _too_short(path)
    if data[: len(MAGIC)] != MAGIC:
        raise RecordingError(
            f"{path} is not a recording of sp500tui; name a file written by --record FOLDER (*{SUFFIX})"
        )
    _, version, length = FILE_HEADER.unpack_from(data)
    if version > VERSION:
        raise RecordingError(
            f"the recording {path} has format {version}, this program reads up to {VERSION}; update sp500tui"
        )
    end = FILE_HEADER.size + length
    if end > len(data):
        raise _too_short(path)
    try:
        facts: FileFacts = decode(data[FILE_HEADER.size : end], FileFacts)
    except ProtocolError:
        raise RecordingError(f"the header of the recording {path} is damaged; it cannot be shown") from None
    return facts, end
