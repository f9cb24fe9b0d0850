"""Length-prefixed frames on a stream, below 2 GiB in the format of `multiprocessing.connection`."""

from __future__ import annotations

import struct

from sp500tui.errors import Sp500tuiError

_LENGTH = struct.Struct("!I")
_MAX_FRAME = 1 << 20
"""Bytes of a message of a writer process."""


class FrameError(Sp500tuiError):
    """The bytes received are not a frame; the stream cannot be resynchronised."""


def encode_frame(message: bytes) -> bytes:
    """Prefix a message (below 2 GiB) with its length."""
    return _LENGTH.pack(len(message)) + message


class FrameDecoder:
    """Reassembles messages from the pieces in which they arrive."""

    def __init__(self, limit: int = _MAX_FRAME) -> None:
        """`limit`: bytes of a message above which the announced length is treated as garbage."""
        self._limit = limit
        self._data = bytearray()

    def feed(self, piece: bytes) -> None:
        """Add received bytes."""
        self._data += piece

    @property
    def pending(self) -> int:
        """Bytes received that were not taken yet."""
        return len(self._data)

    def take(self) -> bytes | None:
        """Remove and return the oldest complete message; None when there is none yet.

        Raises:
            FrameError: the next length is above the limit.
        """
        if len(self._data) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._data)
        if length > self._limit:
            raise FrameError(f"a frame of {length} bytes was announced; at most {self._limit} are allowed")
        end = _LENGTH.size + length
        if len(self._data) < end:
            return None
        message = bytes(self._data[_LENGTH.size : end])
        del self._data[:end]
        return message
