"""A file that a user has named for input; this includes pipes such as `<(command)`."""

from __future__ import annotations

import errno
import os
import select
from pathlib import Path

_PIPE_WAIT = 30.0
"""Seconds within which a pipe must be written to."""
_CHUNK = 65_536


def read_input(path: Path, most: int, *, first_line: bool = False) -> bytes:
    """At most `most` bytes of a file, or of its first line with any bytes read beyond it.

    Raises:
        OSError: it cannot be read; TimeoutError if nothing is written to a pipe.
        ValueError: the name is not valid for a file.
    """
    content = bytearray()
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        while len(content) < most and not (first_line and b"\n" in content):
            if not select.select([descriptor], [], [], _PIPE_WAIT)[0]:
                raise TimeoutError(errno.ETIMEDOUT, f"nothing was written to it within {_PIPE_WAIT:g} s")
            part = os.read(descriptor, min(_CHUNK, most - len(content)))
            if not part:
                break
            content += part
    finally:
        os.close(descriptor)
    return bytes(content)
