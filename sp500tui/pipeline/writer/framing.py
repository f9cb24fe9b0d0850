"""The frames on a writer's pipe: a length and a message, as `multiprocessing.connection` writes them."""

from __future__ import annotations

import struct

from sp500tui.errors import Sp500tuiError

_LENGTH = struct.Struct("!i")
_LONGEST = 1 << 20
"""Bytes of an answer; a longer one is none."""


class FrameError(Sp500tuiError):
    """What came over the pipe is no frame, and neither is what comes after it."""


def framed(message: bytes) -> bytes:
    """The message as it goes over the pipe; at most 2 GiB."""
    return _LENGTH.pack(len(message)) + message


class FrameDecoder:
    """Puts messages together from whatever pieces arrive."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, piece: bytes) -> None:
        """Take over what has arrived."""
        self._data += piece

    def take(self) -> bytes | None:
        """The oldest message that is whole; None when there is none yet.

        Raises:
            FrameError: the next length makes no sense; nothing can be told apart any more.
        """
        if len(self._data) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._data)
        if not 0 <= length <= _LONGEST:
            raise FrameError(f"a message of {length} bytes is announced: at most {_LONGEST} are expected")
        end = _LENGTH.size + length
        if len(self._data) < end:
            return None
        message = bytes(self._data[_LENGTH.size : end])
        del self._data[:end]
        return message
