"""The input of a terminal as Textual's events: meaningless bytes are dropped and never raise.

Textual's Linux driver decodes strictly, and its parser types out the characters of a sequence that it does not know:
the reply `ESC ] 11 ; rgb:1010/…` to a question about colours opens the filter, since it contains a `/`. Here the
bytes are split as ECMA-48 describes, and Textual's parser gets one sequence at a time.
"""

from __future__ import annotations

import logging
import time
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto

from textual import events
from textual._xterm_parser import XTermParser
from textual.constants import ESCAPE_DELAY
from textual.message import Message
from textual.messages import InBandWindowResize

LOG = logging.getLogger(__name__)
SEQUENCE_TIMEOUT = 1.0
"""Seconds without a byte after which an unfinished sequence is dropped."""
LONGEST = 3.0
"""Seconds that an unfinished sequence may take when its bytes come a few at a time, as keys do."""
_FEW = 16
"""Maximum bytes of a read that are taken for keys; a larger read extends the limit."""
_LONGEST_SEQUENCE = 32
"""Maximum characters of a sequence; Textual's parser types out longer ones."""
_MOST_PASTED = 1 << 20
"""Maximum bytes of a paste; the rest is dropped."""
_MOUSE_BYTES = 3
"""Bytes after `ESC [ M` in an X10 report: the button and the position, each any byte from 32 on."""
_ESC, _BEL = 0x1B, 0x07
_PASTE_START, _PASTE_END = "\x1b[200~", b"\x1b[201~"
_STRINGS = frozenset(b"]P_^X")
"""The bytes after ESC that begin an OSC, DCS, APC, PM or SOS string."""
_IN_STRINGS = frozenset(range(0x08, 0x0E))
"""Control characters that a string may contain (ECMA-48, 5.6)."""
_DROPPED = (events.Resize, InBandWindowResize, events.CursorPosition)
"""Unused reports: the size of the terminal comes from the kernel, and the cursor position is never queried."""


class _State(Enum):
    """The part of a sequence to which the last byte belongs."""

    GROUND = auto()
    ESCAPE = auto()
    """After ESC."""
    SS3 = auto()
    """After ESC O."""
    CSI = auto()
    """After ESC [."""
    MOUSE = auto()
    STRING = auto()
    STRING_ESCAPE = auto()
    """After an ESC in a string."""
    PASTE = auto()


class TerminalInput:
    """Turns bytes into events.

    Args:
        clock: Returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._state = _State.GROUND
        self._began = self._last = clock()
        self._sequence = ""
        self._parser: XTermParser | None = None
        """Characters of the current sequence; None once it is known to be meaningless."""
        self._keys = XTermParser()
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._mouse_at = (0.0, 0.0)
        self._mouse_left = 0
        self._paste = bytearray()
        self._warned = False

    def feed(self, data: bytes) -> Iterator[Message]:
        """Return the events of the bytes read."""
        self._last = self._clock()
        if len(data) > _FEW:
            self._began = self._last
        elif self._state is not _State.GROUND and self._last - self._began >= LONGEST:
            yield from self._end_sequence()
        for byte in data:
            yield from self._take(byte)

    def end_overdue(self) -> Iterator[Message]:
        """End an overdue sequence, and return its events; to be called when there is nothing to read."""
        if self._state is _State.GROUND:
            return
        now = self._clock()
        silence = ESCAPE_DELAY if self._state is _State.ESCAPE else SEQUENCE_TIMEOUT
        if now - self._last >= silence or now - self._began >= LONGEST:
            yield from self._end_sequence()

    # One byte

    def _take(self, byte: int) -> Iterator[Message]:
        match self._state:
            case _State.PASTE:
                yield from self._take_pasted(byte)
            case _State.STRING | _State.STRING_ESCAPE:
                yield from self._take_of_string(byte)
            case _State.GROUND:
                yield from self._take_key(byte)
            case _State.ESCAPE:
                yield from self._take_after_escape(byte)
            case _ if byte < 0x20:
                # The sequence was truncated, and this is a key such as ctrl+c, or the next sequence.
                self._state = _State.GROUND
                yield from self._take(byte)
            case _State.MOUSE:
                self._mouse_left -= 1
                if not self._mouse_left:
                    self._state = _State.GROUND
            case _State.SS3:
                self._state = _State.GROUND
                yield from self._parsed(chr(byte))
            case _State.CSI:
                yield from self._take_of_csi(byte)

    def _take_key(self, byte: int) -> Iterator[Message]:
        if byte == _ESC:
            self._decode(b"", final=True)
            self._begin()
            return
        for character in self._decode(bytes([byte])):
            if character == "�":
                continue
            try:
                yield from _usable(self._keys.feed(character))
            except Exception as error:  # noqa: BLE001 - whatever the parser makes of it, the next key must work
                self._keys = XTermParser()
                self._warn(error)

    def _take_after_escape(self, byte: int) -> Iterator[Message]:
        if byte == _ESC:
            yield events.Key("escape", "\x1b")
            self._begin()
        elif byte in _STRINGS:
            self._state = _State.STRING
        elif byte in b"[O":
            self._state = _State.CSI if byte == ord("[") else _State.SS3
            yield from self._parsed(chr(byte))
        else:
            self._state = _State.GROUND
            if byte < 0x80:
                yield from self._with_alt(chr(byte))
            else:
                yield from self._take(byte)

    def _take_of_csi(self, byte: int) -> Iterator[Message]:
        if byte >= 0x7F:
            self._state = _State.GROUND
            yield from self._take(byte)
            return
        if byte == ord("M") and self._sequence == "\x1b[":
            self._state, self._mouse_left = _State.MOUSE, _MOUSE_BYTES
            return
        # The Linux console's function keys are ESC [ [ A to ESC [ [ E.
        last = byte >= 0x40 and not (byte == ord("[") and self._sequence == "\x1b[")
        if self._sequence + chr(byte) == _PASTE_START:
            self._paste.clear()
            self._state = _State.PASTE
            return
        found = list(self._parsed(chr(byte)))
        if found or last:
            self._state = _State.GROUND
        yield from found

    def _take_of_string(self, byte: int) -> Iterator[Message]:
        if self._state is _State.STRING_ESCAPE and byte != ord("\\"):
            # Not the end of the string: the previous ESC has begun another sequence.
            self._begin()
            yield from self._take(byte)
        elif self._state is _State.STRING_ESCAPE or byte == _BEL:
            self._state = _State.GROUND
        elif byte == _ESC:
            self._state = _State.STRING_ESCAPE
        elif byte < 0x20 and byte not in _IN_STRINGS:
            self._state = _State.GROUND
            yield from self._take(byte)

    def _take_pasted(self, byte: int) -> Iterator[Message]:
        self._paste.append(byte)
        if self._paste.endswith(_PASTE_END):
            self._state = _State.GROUND
            del self._paste[-len(_PASTE_END) :]
            yield self._pasted()
        elif len(self._paste) > _MOST_PASTED + len(_PASTE_END):
            del self._paste[_MOST_PASTED]

    def _pasted(self) -> Message:
        text = self._paste[:_MOST_PASTED].decode(errors="replace")
        self._paste.clear()
        # A control character would reach the terminal with the text and be executed there.
        return events.Paste("".join(filter(_is_harmless, text)))

    # Sequences

    def _begin(self) -> None:
        self._state, self._sequence, self._began = _State.ESCAPE, "", self._clock()
        self._parser = XTermParser()
        self._parser.last_x, self._parser.last_y = self._mouse_at
        self._feed_parser("\x1b")

    def _parsed(self, character: str) -> Iterator[Message]:
        """The events of the sequence with this character added, if that completes a known one."""
        if len(self._sequence) >= _LONGEST_SEQUENCE - 1:
            self._parser = None
        return _usable(self._feed_parser(character))

    def _with_alt(self, character: str) -> Iterator[Message]:
        """The events of a known two-character sequence, or else the key pressed with alt."""
        found = self._feed_parser(character)
        return _usable(found or self._feed_parser(""))

    def _feed_parser(self, character: str) -> list[Message]:
        self._sequence += character
        if self._parser is None:
            return []
        try:
            found = list(self._parser.feed(character))
        except Exception as error:  # noqa: BLE001 - a broken sequence must not end the program
            self._parser = None
            self._warn(error)
            return []
        self._mouse_at = self._parser.last_x, self._parser.last_y
        return found

    def _end_sequence(self) -> Iterator[Message]:
        """End an unfinished sequence: a paste keeps what arrived, ESC alone is a key, all others are dropped."""
        state, self._state = self._state, _State.GROUND
        if state is _State.PASTE:
            yield self._pasted()
        elif state is _State.ESCAPE:
            yield events.Key("escape", "\x1b")

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            LOG.warning(
                "the terminal sent a broken sequence, which was ignored (%s); more are not reported",
                type(error).__name__,
            )


def _usable(found: Iterable[Message]) -> Iterator[Message]:
    """The events that the dashboard uses, without text that cannot be encoded."""
    for event in found:
        if isinstance(event, _DROPPED):
            continue
        if isinstance(event, events.Key) and not _is_text(event.key + (event.character or "")):
            continue
        yield event


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character.isspace()


def _is_text(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
