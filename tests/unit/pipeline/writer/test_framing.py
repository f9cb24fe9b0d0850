"""The frames on a writer's pipe: truncated, oversized, invalid, or in pieces of any size."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.writer.client import Answer, WriterClient, WriterDiedError
from sp500tui.pipeline.writer.framing import FrameDecoder, FrameError, encode_frame

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
answers = st.dictionaries(
    st.sampled_from(
        ["kind", "number", "stored", "seconds", "sqlstate", "message", "level", "created", "name"]
    ),
    st.sampled_from(["log", "ready", "committed", "failed", 1, "1", 1e400]) | json_values,
)


def pieces(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


def taken(reader: FrameDecoder) -> list[bytes]:
    return list(iter(reader.take, None))


@given(messages=st.lists(st.binary(max_size=40), max_size=5), sizes=st.lists(st.integers(0, 20), max_size=20))
def test_messages_are_reassembled_from_any_pieces(messages: list[bytes], sizes: list[int]) -> None:
    reader, found = FrameDecoder(), []
    for piece in pieces(b"".join(map(encode_frame, messages)), sizes):
        reader.feed(piece)
        found += taken(reader)
    assert found == messages


@given(message=st.binary(max_size=40), data=st.data())
def test_the_rest_of_a_partial_frame_is_waited_for(message: bytes, data: st.DataObject) -> None:
    whole = encode_frame(message)
    reader = FrameDecoder()
    reader.feed(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert reader.take() is None


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_in_any_other_way(data: bytes) -> None:
    reader = FrameDecoder()
    reader.feed(data)
    with suppress(FrameError):
        assert all(len(message) < len(data) for message in taken(reader))


@pytest.mark.parametrize("length", [2**32 - 1, 2**31, 2**31 - 1, (1 << 20) + 1])
def test_a_length_that_makes_no_sense_is_refused_before_anything_is_kept_for_it(length: int) -> None:
    reader = FrameDecoder()
    reader.feed(length.to_bytes(4, "big"))
    with pytest.raises(
        FrameError, match=f"a frame of {length} bytes was announced; at most 1048576 are allowed"
    ):
        reader.take()


class FakeProcess:
    """A fake writer process, whose messages are sent by the test."""

    pid = 4_000_000

    def __init__(self, _command: object, *, pass_fds: tuple[int], **_: Any) -> None:
        self.pipe = socket.socket(fileno=os.dup(pass_fds[0]))

    def wait(self, _timeout: float | None = None) -> int:
        return 0

    def kill(self) -> None:
        """There is no process."""


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> Iterator[WriterClient]:
    monkeypatch.setattr(subprocess, "Popen", FakeProcess)
    link = WriterClient("postgresql://nowhere", "writer-3", 5.0)
    yield link
    link.close()
    pipe_of(link).close()


def pipe_of(link: WriterClient) -> socket.socket:
    process = link._process
    assert isinstance(process, FakeProcess)
    return process.pipe


def commit(link: WriterClient, timeout: float = 5.0) -> Answer:
    return link.commit(1, b"rows", timeout, lambda: False)


COMMITTED = encode_frame(json.dumps({"kind": "committed", "number": 1, "stored": 4, "seconds": 0.1}).encode())


def test_an_answer_in_pieces_after_an_older_one_is_understood(link: WriterClient) -> None:
    pipe_of(link).sendall(encode_frame(b'{"kind": "failed", "number": 0}') + COMMITTED[:9])
    with pytest.raises(WriterDiedError, match="did not answer in time"):
        commit(link, 0.1)
    pipe_of(link).sendall(COMMITTED[9:])
    assert commit(link) == Answer(committed=True, stored=4, seconds=0.1)


def test_an_answer_that_lies_in_the_pipe_counts_although_the_process_is_dead(link: WriterClient) -> None:
    pipe_of(link).sendall(COMMITTED)
    pipe_of(link).shutdown(socket.SHUT_RDWR)
    assert link._receive(1, float("inf"), lambda: False).stored == 4


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff\xff\xff\xff12345678",
        b"\x7f\xff\xff\xff",
        b"HTTP/1.1 200 OK",
        encode_frame(b""),
        encode_frame(b"\xff\xfe"),
        encode_frame(b"[" * 100_000),
        encode_frame(b"[]"),
        encode_frame(b"7"),
        encode_frame(b'{"number": 1}'),
        encode_frame(b'{"kind": "committed", "number": 1}'),
        encode_frame(b'{"kind": "committed", "number": 1, "stored": "many", "seconds": 0}'),
        encode_frame(b'{"kind": "log", "level": Infinity, "created": 0, "name": "", "message": ""}'),
    ],
)
def test_an_answer_that_is_none_ends_the_process_and_not_the_program(link: WriterClient, sent: bytes) -> None:
    pipe_of(link).sendall(sent)
    with pytest.raises(
        WriterDiedError, match=r"writer-3 \(process 4000000\) sent an invalid answer"
    ) as death:
        commit(link)
    assert not death.value.crashed, "the rows are not the cause"


@given(message=answers | json_values)
def test_any_answer_raises_only_the_projects_errors(message: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", FakeProcess)
        link = WriterClient("postgresql://nowhere", "writer-3", 5.0)
    pipe_of(link).sendall(encode_frame(json.dumps(message).encode()))
    pipe_of(link).shutdown(socket.SHUT_WR)
    with suppress(Sp500tuiError):
        assert isinstance(link._receive(1, float("inf"), lambda: False), Answer)
    link.close()
    pipe_of(link).close()
