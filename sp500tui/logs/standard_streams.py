"""Standard output and standard error: output that cannot be written is an error, in every command."""

from __future__ import annotations

import io
import json
import os
import re
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from sp500tui.errors import Sp500tuiError

_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_LAST_MESSAGE_LIMIT = 1.0
"""Seconds."""


class OutputError(Sp500tuiError):
    """Output could not be written: the stream is closed or its disk is full."""


class BrokenPipeOutputError(OutputError):
    """The process that read standard output has closed the pipe, as `head` does once it has its lines.

    Not an error for a command that prints a table, but the report of a run must not be lost.
    """


def prepare() -> None:
    """Make the standard streams safe to use; called once, before any file is opened.

    What cannot be encoded or decoded is replaced, in output by `?`. Closed descriptors are opened on the null device,
    or the next file opened would get their number and receive output meant for the terminal.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Data still in the buffer, as after a failed attempt, is reported by the next write.
            with suppress(OSError):
                stream.reconfigure(errors="replace")


def write_output(text: str) -> None:
    """Write the output of a command to standard output, and flush it.

    Raises:
        BrokenPipeOutputError: the reader has closed the pipe.
        OutputError: any other failure, with the system's reason.
    """
    _write(text, sys.stdout, "standard output")


def write_output_bytes(data: bytes) -> None:
    """Write a part of a stream of bytes to standard output; it is not decoded.

    Raises:
        OutputError: see `write_output`.
    """
    stream = sys.stdout
    if stream is None:
        raise OutputError(
            "standard output is closed, so the output could not be written; redirect it to a file"
        )
    with _reported(stream, "standard output"):
        stream.buffer.write(data)
        stream.buffer.flush()


def write_json(text: str) -> None:
    """Write JSON to standard output; in an encoding other than UTF-8, non-ASCII characters are escaped.

    Raises:
        OutputError: see `write_output`.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if encoding.lower().replace("-", "") != "utf8":
        text = _NOT_ASCII.sub(lambda match: json.dumps(match[0])[1:-1], text)
    write_output(text)


def write_message(message: str) -> None:
    """Write a line to standard error, and drop it if it cannot be written: the command continues without it."""
    with suppress(OutputError):
        write_error(message)


def write_error(message: str) -> None:
    """Write a line to standard error that is part of the result.

    Raises:
        OutputError: with the system's reason.
    """
    _write(f"sp500tui: {message}\n", sys.stderr, "standard error")


def write_last_message(message: str) -> None:
    """Write a line to standard error where an ending program must not wait: within a second, or not at all.

    A terminal that is not read, such as that of a stopped multiplexer, accepts nothing; a closed one fails.
    """
    with suppress(OutputError):
        _write_message_within(message, _LAST_MESSAGE_LIMIT)


def _write_message_within(message: str, seconds: float) -> None:
    stream = sys.stderr
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, ValueError):
        write_error(message)  # not a stream of the operating system: it cannot block
        return
    with _reported(stream, "standard error"):
        blocking = os.get_blocking(descriptor)
        # The terminal's description is shared with the shell: the mode is restored whatever happens.
        os.set_blocking(descriptor, False)
        try:
            _write_until(
                descriptor,
                f"sp500tui: {message}\n".encode(stream.encoding, "replace"),
                time.monotonic() + seconds,
            )
        finally:
            os.set_blocking(descriptor, blocking)


def _write_until(descriptor: int, data: bytes, deadline: float) -> None:
    """Write to a non-blocking descriptor until `data` is written or `deadline`, a monotonic time, has passed."""
    while data and (left := deadline - time.monotonic()) > 0:
        if select.select([], [descriptor], [], left)[1]:
            with suppress(BlockingIOError):
                data = data[os.write(descriptor, data) :]


def _write(text: str, stream: TextIO | None, name: str) -> None:
    if stream is None:
        raise OutputError(f"{name} is closed, so the output could not be written; redirect it to a file")
    with _reported(stream, name):
        stream.write(text)
        stream.flush()


@contextmanager
def _reported(stream: TextIO, name: str) -> Iterator[None]:
    """Turn a failed write to a stream into an `OutputError`."""
    try:
        yield
    except (OSError, ValueError) as error:
        _redirect_to_null(stream)
        reason = getattr(error, "strerror", None) or error
        is_reader_gone = isinstance(error, BrokenPipeError) and stream is sys.stdout
        kind = BrokenPipeOutputError if is_reader_gone else OutputError
        raise kind(f"the output could not be written to {name}: {reason}") from None


def _redirect_to_null(stream: TextIO) -> None:
    """Keep the interpreter from reporting the same failure again when it flushes the stream at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        return  # a stream without a descriptor
