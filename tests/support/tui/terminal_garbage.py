"""Input that terminals, and programs writing to them, may send: sequences of all kinds, some malformed or cut."""

from __future__ import annotations

import random
from collections.abc import Callable

_FINALS = b"@ABCDEFGHIJKLMPQRSTXZ[\\]^_`abcdefhlmnqrstuvxyz{|}~"
_NUMBERS = (0, 1, 2, 3, 5, 13, 27, 48, 57, 64, 97, 127, 200, 201, 255, 999, 32768, 55296, 57344, 65535)
_HUGE = (99_999, 1_114_111, 1_114_112, 2_147_483_648, 10**12, 10**25)


def _number(rng: random.Random) -> bytes:
    value = rng.choice(_HUGE) if rng.random() < 0.15 else rng.choice(_NUMBERS)
    return rng.choice((b"%d", b"-%d", b"%d", b"%d")) % value if rng.random() < 0.9 else b""


def _parameters(rng: random.Random, most: int = 6) -> bytes:
    return b"".join(
        _number(rng) + rng.choice((b";", b";", b";", b":", b"")) for _ in range(rng.randint(0, most))
    )


def noise(rng: random.Random) -> bytes:
    """Bytes of every value."""
    return rng.randbytes(rng.randint(1, 60))


def broken_text(rng: random.Random) -> bytes:
    """UTF-8 that is truncated, overlong, of surrogates or beyond Unicode, between valid characters."""
    pieces = (
        "é".encode(),
        "漢".encode(),
        "😀".encode(),
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xff",
    )
    text = bytearray(b"".join(rng.choice(pieces) for _ in range(rng.randint(1, 8))))
    for _ in range(rng.randint(0, 3)):
        del text[rng.randrange(len(text)) :]
        text += b"\x82"
    return bytes(text)


def csi(rng: random.Random) -> bytes:
    """A control sequence, the form of keys, mouse reports and replies."""
    lead = rng.choice((b"", b"", b"?", b"<", b">", b"="))
    middle = rng.choice((b"", b"", b"", b"$", b" ", b"!"))
    return b"\x1b[" + lead + _parameters(rng) + middle + bytes([rng.choice(_FINALS)])


def kitty_key(rng: random.Random) -> bytes:
    """A key of the kitty protocol, with alternates, event types and text."""
    return b"\x1b[%s:%s;%s:%s;%su" % tuple(_number(rng) for _ in range(5))


def mouse(rng: random.Random) -> bytes:
    """A mouse report: SGR, urxvt or X10."""
    button, x, y = (_number(rng) for _ in range(3))
    return rng.choice(
        (
            b"\x1b[<%s;%s;%s%s" % (button, x, y, rng.choice((b"M", b"m"))),
            b"\x1b[<%d;%d;%dM" % (rng.choice((0, 2, 35, 64, 65)), rng.randint(1, 140), rng.randint(1, 50)),
            b"\x1b[%s;%s;%sM" % (button, x, y),
            b"\x1b[M" + rng.randbytes(rng.randint(0, 3)),
            b"\x1b[M\x23\x82\x30",
        )
    )


def paste(rng: random.Random) -> bytes:
    """A bracketed paste of garbage, with or without its end."""
    end = rng.choice((b"\x1b[201~", b"\x1b[201~", b"\x1b[201", b""))
    return b"\x1b[200~" + rng.choice((noise, csi, broken_text))(rng) + end


def answer(rng: random.Random) -> bytes:
    """A terminal's reply to a query, sent or not: colours, attributes, version, clipboard, modes."""
    end = rng.choice((b"\x1b\\", b"\x07", b"\x1b\\", b""))
    return rng.choice(
        (
            b"\x1b]1%d;rgb:1010/1414/1a1a" % rng.randint(0, 9) + end,
            b"\x1b]52;c;" + b"S0RQ" * rng.randint(1, 200) + end,
            b"\x1bP>|xterm(390)" + end,
            b"\x1bP1+r544e=787465726d" + end,
            b"\x1b_Gi=31;OK" + end,
            b"\x1b[?62;22c",
            b"\x1b[>41;390;0c",
            b"\x1b[?31u",
            b"\x1b[?2026;%d$y" % rng.randint(0, 9),
            b"\x1b[?2048;%d$y" % rng.randint(0, 9),
            b"\x1b[%d;%dR" % (rng.randint(0, 9999), rng.randint(0, 9999)),
            b"\x1b[I",
            b"\x1b[O",
        )
    )


def size_report(rng: random.Random) -> bytes:
    """An in-band report of the terminal's size, with impossible sizes."""
    return b"\x1b[48;%d;%d;%d;%dt" % tuple(rng.choice((0, 1, 24, 65_535, 10**9)) for _ in range(4))


KINDS: tuple[Callable[[random.Random], bytes], ...] = (
    noise, broken_text, csi, kitty_key, mouse, paste, answer, size_report,
)  # fmt: skip


def garbage(rng: random.Random) -> bytes:
    """A piece of one kind; one in five is truncated."""
    piece = rng.choice(KINDS)(rng)
    return piece[: rng.randint(0, len(piece))] if rng.random() < 0.2 else piece
