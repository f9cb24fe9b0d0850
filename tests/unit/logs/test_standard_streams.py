"""Output that cannot be written is an error; text is written in any encoding."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest

from sp500tui.logs.standard_streams import (
    BrokenPipeOutputError,
    OutputError,
    prepare,
    write_error,
    write_json,
    write_last_message,
    write_message,
    write_output,
)


def test_a_closed_stream_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, write in (("stdout", write_output), ("stderr", write_error), ("stdout", write_json)):
        monkeypatch.setattr(sys, name, None)
        with pytest.raises(OutputError, match="is closed"):
            write("x")


def test_a_message_that_cannot_be_written_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    write_message("x")
    with open("/dev/full", "w") as full:  # noqa: PTH123
        monkeypatch.setattr(sys, "stderr", full)
        write_message("x")


def test_input_that_cannot_be_decoded_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff1\n"), encoding="utf-8"))
    prepare()
    assert sys.stdin.readline() == "\ufffd1\n"


def test_a_full_disk_is_an_error_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(OutputError, match="standard output: No space left on device"):
            write_output("x")


@pytest.mark.parametrize(
    ("name", "write", "kind"),
    [("stdout", write_output, BrokenPipeOutputError), ("stderr", write_error, OutputError)],
)
def test_a_closed_pipe_is_a_distinct_error_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, name: str, write: Callable[[str], None], kind: type[OutputError]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, name, stream)
        with pytest.raises(OutputError, match="Broken pipe") as raised:
            write("x")
        assert raised.type is kind
        stream.write("what is left is discarded at exit")


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "koi8-r", "cp037", "utf-8", "utf-16"])
def test_text_is_written_in_any_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    for name, write in (("stdout", write_output), ("stderr", write_message)):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, name, io.TextIOWrapper(raw, encoding=encoding))
        prepare()
        write("Nestlé – 🎉 \udce9")
        assert "Nestl" in raw.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "cp037", "utf-8"])
def test_json_loses_no_character(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    write_json(json.dumps({"ü": "Nestlé – 🎉"}, ensure_ascii=False))
    assert json.loads(raw.getvalue().decode(encoding)) == {"ü": "Nestlé – 🎉"}


def test_closed_descriptors_are_occupied(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def fail(descriptor: int) -> None:
        raise OSError

    monkeypatch.setattr(os, "fstat", fail)
    monkeypatch.setattr(os, "open", lambda path, _: opened.append(path))
    prepare()
    assert opened == [os.devnull] * 3


def test_a_last_message_to_a_pipe_that_is_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a pipe that is full and not read
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(65536))
    os.set_blocking(writing, True)
    with os.fdopen(reading, "rb"), os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        # when a last message is written, then it returns, and the pipe's mode is restored
        write_last_message("x")
        assert os.get_blocking(writing)


def test_a_last_message_is_a_line_and_a_closed_reader_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        write_last_message("the outcome")
        assert os.read(reading, 100) == b"sp500tui: the outcome\n"
        os.close(reading)
        write_last_message("the outcome")
