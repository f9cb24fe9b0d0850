"""ASCII replacements for the dashboard's signs and lines, cell by cell, for terminals without Unicode."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from rich.cells import cell_len

_SIGNS = {
    "─┄┈╌╴╶╸╺╼╾‐‑–—−": "-",
    "━═┅┉╍": "=",
    "│┃┆┇┊┋╎╏▌▐▏▕▎▊╵╷": "|",
    "║╨╥": "0",
    "·•": ".",
    "…": "~",
    "→▶▸►≥": ">",
    "←◀◂≤": "<",
    "↑▲": "^",
    "↓▼▾": "v",
    "△": "/",
    "▽": "\\",
    "⇄≈": "=",
    "●✓": "*",
    "○": "o",
    "◌": ".",
    "◆": "+",
    "◧": "b",
    "▣": "r",
    "◔": "c",
    "◇": "d",
    "□": "o",
    "±": "+",
    "↳": "`",
    "µ": "u",
    "λ": "l",
    "↻⏎↵": "@",
    "‖": "H",
    "✗×": "x",
    "■▮█▇▀": "#",
    "▯": ".",
    "░": ":",
    "▒": "=",
    "▓": "%",
    "▔": "-",
    "▁": "_",
    "▂": ",",
    "▃": ":",
    "▄": "-",
    "▅": "=",
    "▆": "+",
    "“”„": '"',
    "‘’": "'",
}
_TABLE = {ord(sign): ascii_sign for signs, ascii_sign in _SIGNS.items() for sign in signs}
_FIRST_BRAILLE, _LAST_BRAILLE = 0x2800, 0x28FF
_DENSE = 4
"""Minimum dots of a braille cell that is drawn dense."""


def as_ascii(text: str) -> str:
    """The text in ASCII and in the same number of terminal cells; escape sequences stay as they are."""
    return text if text.isascii() else "".join(map(_replacement, text))


@lru_cache(maxsize=4096)
def _replacement(character: str) -> str:
    if character.isascii():
        return character
    code = ord(character)
    if code in _TABLE:
        return _TABLE[code]
    if 0x2500 <= code <= 0x257F:
        return "+"
    if _FIRST_BRAILLE <= code <= _LAST_BRAILLE:
        dots = (code - _FIRST_BRAILLE).bit_count()
        return " " if not dots else ":" if dots >= _DENSE else "."
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    width = cell_len(character)
    return plain if len(plain) == width else "?" * width
