"""A terminal's input split into events: keys arrive, everything else is dropped, and nothing raises."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import XTermParser
from textual.constants import ESCAPE_DELAY
from textual.message import Message

from sp500tui.tui.terminal.input import LONGEST, SEQUENCE_TIMEOUT, TerminalInput
from tests.support.tui.terminal_garbage import KINDS, garbage


class Source:
    """A terminal's input with a clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.input = TerminalInput(lambda: self.now)

    def send(self, data: bytes) -> list[str]:
        return reported(self.input.feed(data))

    def wait(self, seconds: float) -> list[str]:
        self.now += seconds
        return reported(self.input.end_overdue())


@pytest.fixture
def source() -> Source:
    return Source()


def reported(found: Iterable[Message]) -> list[str]:
    """Events as text: a key as its name, a paste as its text, others as their class."""
    return [
        event.key
        if isinstance(event, events.Key)
        else f"paste {event.text}"
        if isinstance(event, events.Paste)
        else type(event).__name__
        for event in found
    ]


KNOWN = sorted(sequence for sequence in ANSI_SEQUENCES_KEYS if not sequence.startswith("\x1b\x1b"))


@pytest.mark.parametrize("sequence", KNOWN, ids=repr)
def test_every_key_of_textual_arrives(source: Source, sequence: str) -> None:
    parser = XTermParser()
    # Textual takes shift+f3 for the position of the cursor, which nothing here requests.
    expected = [
        key for key in reported([*parser.feed(sequence), *parser.feed("")]) if key != "CursorPosition"
    ]
    assert source.send(sequence.encode()) + source.wait(SEQUENCE_TIMEOUT) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"q", ["q"]),
        ("é漢😀".encode(), ["é", "漢", "grinning_face"]),
        (b"\x03", ["ctrl+c"]),
        (b"\r\t\x7f", ["enter", "tab", "backspace"]),
        (b"\x1b[113;5u", ["ctrl+q"]),
        (b"\x1b[97;;97u", ["a"]),
        (b"\x1b[27u", ["escape"]),
        (b"\x1bq", ["alt+q"]),
        (b"\x1b\x1b[A", ["escape", "up"]),
        (b"\x1b[<0;5;6M\x1b[<0;5;6m", ["MouseDown", "MouseUp"]),
        (b"\x1b[<64;5;6M", ["MouseScrollUp"]),
        (b"\x1b[I\x1b[O", ["AppFocus", "AppBlur"]),
        (b"\x1b[?2026;2$y", ["TerminalSupportsSynchronizedOutput"]),
        (b"\x1b[200~AAPL\x1b[201~q", ["paste AAPL", "q"]),
        (b"\x1b[200~a\0b\xff\x1b[A\x1b[201~", ["paste ab\ufffd[A"]),
    ],
)
def test_keys_mouse_and_pastes_arrive_even_when_split(
    source: Source, data: bytes, expected: list[str]
) -> None:
    assert source.send(data) == expected
    torn = [words for byte in data for words in source.send(bytes([byte]))]
    assert torn == expected


@pytest.mark.parametrize(
    "data",
    [
        b"\x1b]11;rgb:1010/1414/1a1a\x1b\\",
        b"\x1b]11;rgb:1010/1414/1a1a\x07",
        b"\x1b]52;c;" + b"S0RQ" * 1000 + b"\x1b\\",
        b"\x1bP>|kitty(0.36.4)\x1b\\",
        b"\x1bP1+r544e=787465726d\x1b\\",
        b"\x1b_Gi=31;OK\x1b\\",
        b"\x1b^private\x1b\\",
        b"\x1bXstart\x1b\\",
        b"\x1b[?62;22c",
        b"\x1b[>41;390;0c",
        b"\x1b[?31u",
        b"\x1b[?997;1n",
        b"\x1b[8;50;160t",
        b"\x1b[12;40R",
        b"\x1b[?2048;0$y",
        b"\x1b[48;60000;60000;0;0t",
        b"\x1b[48;0;0;0;0t\x1b[<35;5;6;7M",
        b"\x1b[M\x23\x82\x30",
        b"\x1b[M\xc3\xa9q",
        b"\x1b[35;82;30M",
        b"\x1b[1114112u",
        b"\x1b[55296u",
        b"\x1b[97:65;1:1;1114112u",
        b"\x1b[97;1;55296u",
        b"\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18K",
        b"\x1b[99999999999999999999999999999999999999999999;1P",
        b"\x82\xff\xc0\xaf\xed\xa0\x80",
    ],
    ids=repr,
)
def test_an_unknown_sequence_is_dropped_entirely_and_the_next_key_arrives(
    source: Source, data: bytes
) -> None:
    assert source.send(data + b"p") == ["p"]
    assert [words for byte in data + b"p" for words in source.send(bytes([byte]))] == ["p"]


def test_a_broken_sequence_is_one_warning(source: Source, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for _ in range(10):
            source.send(b"\x1b[1114112;1;1114112u")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize(
    "begun",
    [b"\x1b]11;rgb:10", b"\x1b]", b"\x1b[", b"\x1bP>|x", b"\x1b[?62;2", b"\x1b[M#", b"\x1b[12", b"\xe6\xbc"],
)
def test_an_unfinished_sequence_is_dropped_after_a_silence(source: Source, begun: bytes) -> None:
    assert source.send(begun) == []
    assert source.wait(SEQUENCE_TIMEOUT) == []
    assert source.send(b"q") == ["q"]


def test_an_endless_sequence_is_dropped_while_keys_still_arrive(source: Source) -> None:
    # given a paste without its end
    source.send(b"\x1b[200~abc")
    # when a key is pressed repeatedly
    heard: list[str] = []
    while "q" not in heard:
        assert source.now < 2 * LONGEST
        heard += source.wait(SEQUENCE_TIMEOUT / 3) + source.send(b"q")
    # then the paste has ended, and the key arrives as a key
    assert heard[0].startswith("paste abcqq")


def test_a_long_paste_that_comes_in_large_pieces_stays_one(source: Source) -> None:
    source.send(b"\x1b[200~")
    for _ in range(20):
        source.wait(SEQUENCE_TIMEOUT / 2)
        assert source.send(b"Quit and Kill are words" * 10) == []
    (paste,) = source.send(b"\x1b[201~")
    assert len(paste) == len("paste ") + 20 * 230


def test_a_paste_without_end_is_bounded(source: Source) -> None:
    for _ in range(3):
        source.send(b"\x1b[200~" + b"x" * (1 << 19))
    assert len(source.input._paste) < (1 << 20) + 100


def test_escape_alone_is_a_key_after_its_delay(source: Source) -> None:
    assert source.send(b"\x1b") == []
    assert source.wait(ESCAPE_DELAY) == ["escape"]


def test_ctrl_c_ends_a_truncated_sequence(source: Source) -> None:
    for begun in (b"\x1b[", b"\x1b]11;", b"\x1b[M", b"\x1bO"):
        assert source.send(begun + b"\x03") == ["ctrl+c"]


@given(st.lists(st.binary(max_size=40) | st.randoms(use_true_random=False).map(garbage), max_size=20))
def test_nothing_raises_and_a_key_arrives_afterwards(pieces: list[bytes]) -> None:
    source = Source()
    for piece in pieces:
        source.send(piece)
    source.wait(LONGEST)
    assert source.send(b"q") == ["q"]


def test_every_kind_of_garbage_is_made() -> None:
    rng = random.Random(1)
    assert all(len({kind(rng) for _ in range(50)}) > 5 for kind in KINDS)
