"""The format of a recording: a file header, then blocks of a few seconds, each with a header that can be searched.

The payloads of the blocks of one chunk are one Zstandard frame, flushed at the end of every block: a block depends
only on those before it in its chunk. A file that ends in the middle of a block is readable up to the
previous block.
"""

from __future__ import annotations

import struct
import sys
import zlib
from binascii import crc_hqx
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from sp500tui.errors import ConfigurationError
from sp500tui.pipeline.writer.framing import FrameDecoder, FrameError, encode_frame
from sp500tui.remote.mirror import Mirror
from sp500tui.remote.recording.moments import Moment, decode_moment, errors, moment_of, notable
from sp500tui.remote.wire import MAX_ANSWER, RunFacts, Update, encode

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b"\x89SP500R\n"
VERSION = 2
"""Version of the format; a reader rejects later ones. 2: a percent change may be a pair."""
FILE_HEADER = struct.Struct("!8sHI")
"""Magic, version, length of the run's facts."""
MARK = b"\x89blk"
_BLOCK = struct.Struct("!4sHHHHHHIIdd")
"""Magic, number in its chunk, counts, checksum of the header; length and checksum of the payload, both times."""
_COUNTED = slice(0, 14)
_TIMED = slice(16, None)
"""The bytes of the header before and after its checksum."""
_LATEST = 253_402_300_799.0
"""POSIX time of the end of the year 9999, the last one of `datetime`."""
BLOCK_SIZE = _BLOCK.size
"""Bytes of a block's header."""
_SECONDS = 5.0
"""Length of a block in seconds, the most that is lost when the program is killed."""
_CHUNK_SECONDS = 600.0
_CHUNK_PRICES = 20_000
"""Prices in a chunk after which the next one begins: all of them have to be read to show a moment at its end."""
_SET_BACK_AFTER = 10
"""Updates in a row before the time of the last moment, after which the system's clock counts as set back."""
_OPTIONS: dict[int, int] = {
    # Larger tables would take up tens of megabytes and save little.
    zstd.CompressionParameter.compression_level: 7,
    zstd.CompressionParameter.window_log: 20,
    zstd.CompressionParameter.hash_log: 17,
    zstd.CompressionParameter.chain_log: 17,
}


class RecordingError(ConfigurationError):
    """A file is not a recording, or not one that this program can show."""


class FileFacts(msgspec.Struct, frozen=True):
    """The content of the file header."""

    program: str
    """Version of the program that wrote it."""
    run: RunFacts


def file_header(facts: FileFacts) -> bytes:
    """The first bytes of a file."""
    content = encode(facts)
    return FILE_HEADER.pack(MAGIC, VERSION, len(content)) + content


class Block(NamedTuple):
    """The header of a block; its values in the order of the file. A named tuple, because long files have many."""

    number: int
    """In its chunk, from 0."""
    moments: int
    events: int
    notable: int
    """Events that are not part of the routine."""
    errors: int
    """Errors among events and log lines."""
    length: int
    """Bytes of the payload."""
    checksum: int
    first: float
    """POSIX time of its first moment."""
    last: float

    @property
    def begins_chunk(self) -> bool:
        """Whether it depends on no other block."""
        return self.number == 0

    def encoded(self) -> bytes:
        """The bytes of the header."""
        counts = (min(each, 0xFFFF) for each in (self.moments, self.events, self.notable, self.errors))
        before = (MARK, self.number, *counts)
        behind = (self.length, self.checksum, self.first, self.last)
        return _BLOCK.pack(*before, _checksum(_BLOCK.pack(*before, 0, *behind)), *behind)

    @classmethod
    def decoded(cls, data: bytes, offset: int) -> Block | None:
        """The header at `offset`; None if there is none, or if it is incomplete or damaged."""
        header = data[offset : offset + BLOCK_SIZE]
        if len(header) < BLOCK_SIZE or header[: len(MARK)] != MARK:
            return None
        values = _BLOCK.unpack(header)
        # Files from before the checksum was added have zeros in its place.
        if values[6] and values[6] != _checksum(header):
            return None
        block = cls._make(values[1:6] + values[7:])
        return block if 0 <= block.first <= block.last <= _LATEST else None

    def holds(self, payload: bytes) -> bool:
        """Whether this is the block's whole payload."""
        return len(payload) == self.length and zlib.crc32(payload) == self.checksum


def _checksum(header: bytes) -> int:
    """The checksum of a header, from its other bytes; never 0, which means none."""
    return crc_hqx(header[_TIMED], crc_hqx(header[_COUNTED], 0)) or 0xFFFF


class BlockWriter:
    """Turns updates into blocks. Not thread-safe."""

    def __init__(self) -> None:
        self._mirror = Mirror()
        self._compressor: zstd.ZstdCompressor | None = None
        self._number = 0
        self._chunk_first = 0.0
        self._chunk_prices = 0
        self._chunk_requested = False
        self._moments: list[Moment] = []
        self._payload = bytearray()
        self._last = float("-inf")
        """POSIX time of the last moment."""
        self._left_out = 0
        """Updates since then that are before it."""

    def add(self, update: Update) -> tuple[Block, bytes] | None:
        """Add an update; returns a block and its payload once one is complete.

        Times within a chunk only increase. Updates before the last moment are left out; if more of them follow, because
        the system's clock was set back, a new chunk begins with everything known.
        """
        self._mirror.apply(update)
        at = update.snapshot.taken_at.timestamp()
        set_back = at < self._last
        if set_back and self._left_out < _SET_BACK_AFTER:
            self._left_out += 1
            return None
        full = self._moments and at - self._moments[0].at >= _SECONDS
        complete = self.finish() if full or set_back else None
        if set_back:
            self.begin_chunk()
        self._last, self._left_out = at, 0
        self._begin_chunk_if_due(at)
        moment = moment_of(update, None if self._number or self._moments else self._mirror)
        assert self._compressor is not None  # noqa: S101  # made above
        self._payload += self._compressor.compress(encode_frame(encode(moment)))
        self._moments.append(moment)
        self._chunk_prices += len(update.prices)
        return complete

    def _begin_chunk_if_due(self, at: float) -> None:
        """Begin a chunk at the first moment of a block once the one before is long enough."""
        if self._moments:
            return
        if (
            self._compressor is None
            or self._chunk_requested
            or at - self._chunk_first >= _CHUNK_SECONDS
            or self._chunk_prices >= _CHUNK_PRICES
        ):
            self._compressor = zstd.ZstdCompressor(options=_OPTIONS)
            self._number = 0
            self._chunk_first, self._chunk_prices = at, 0
            self._chunk_requested = False

    def begin_chunk(self) -> None:
        """Have the next block begin a chunk, as at the start of a file; the current block ends here."""
        self._chunk_requested = True

    def finish(self) -> tuple[Block, bytes] | None:
        """The block of the updates so far; None without any."""
        if not self._moments or self._compressor is None:
            return None
        self._payload += self._compressor.flush(self._compressor.FLUSH_BLOCK)
        payload, moments = bytes(self._payload), self._moments
        self._payload.clear()
        self._moments = []
        block = Block(
            number=self._number,
            moments=len(moments),
            events=sum(len(each.new.events) for each in moments),
            notable=sum(notable(each.new.events) for each in moments),
            errors=sum(errors(each.new.events, each.new.lines) for each in moments),
            first=moments[0].at,
            last=moments[-1].at,
            length=len(payload),
            checksum=zlib.crc32(payload),
        )
        self._number += 1
        return block, payload


def moments_of(blocks: Sequence[tuple[Block, bytes]]) -> Iterator[Moment]:
    """The moments of the blocks of one chunk, up to the first damaged one."""
    decompressor, decoder = zstd.ZstdDecompressor(), FrameDecoder(MAX_ANSWER)
    for number, (block, payload) in enumerate(blocks):
        if block.number != number or not block.holds(payload):
            return
        try:
            decoder.feed(decompressor.decompress(payload))
            while (frame := decoder.take()) is not None:
                yield decode_moment(frame)
        except (zstd.ZstdError, EOFError, FrameError):
            return
