"""Formats of numbers, times and external text: with units, and within a given width."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

from sp500tui.price_text import NOTHING

ELLIPSIS = "…"
_BLOCKS = "▁▂▃▄▅▆"
"""Below full height, so that adjacent lines do not merge."""
_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTE_SCALES = ((1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))
_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60


def clean(text: str) -> str:
    """The text on one line, with `·` in place of control and direction characters."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("·" if _steers(character) else character for character in text)


def _steers(character: str) -> bool:
    """Whether a character moves the cursor, hides text or changes its direction instead of printing."""
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"}


def fit(text: str, width: int, align: str = "left") -> str:
    """The text in exactly `width` terminal cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    length = cell_len(text)
    if length > width:
        kept = set_cell_size(text, width - 1).rstrip(" ") + ELLIPSIS
        return kept + " " * (width - cell_len(kept))
    space = " " * (width - length)
    if align == "right":
        return space + text
    if align == "center":
        half = (width - length) // 2
        return " " * half + text + " " * (width - length - half)
    return text + space


def count(number: int) -> str:
    """A whole number with thousands separators: `21,126`."""
    return f"{number:,}"


def short_count(number: float) -> str:
    """A number in at most five characters: `950`, `4.1k`, `12.3M`."""
    for scale, letter in _SCALES:
        if abs(number) >= scale * 0.9995:
            scaled = number / scale
            text = f"{scaled:.0f}" if abs(scaled) >= 99.95 else f"{scaled:.1f}".removesuffix(".0")
            return text + letter
    return f"{number:.0f}"


def rate(per_second: float) -> str:
    """Items a second: `0/s`, `4.2/s`, `412/s`, `12.3k/s`."""
    if per_second <= 0:
        return "0/s"
    if per_second < 0.05:
        return "<0.1/s"
    if per_second < 99.95:
        return f"{per_second:.1f}/s"
    return f"{short_count(per_second)}/s"


def milliseconds(value: float | None) -> str:
    """A latency given in milliseconds: `0.4 ms`, `98 ms`, `1.2 s`; a dash before the first measurement."""
    if value is None:
        return "– ms"
    if value < 9.95:
        return f"{value:.1f} ms"
    if value < 999.5:
        return f"{value:.0f} ms"
    return f"{value / 1000:.1f} s" if value < 99_950 else span(value / 1000)


def span(seconds: float | None) -> str:
    """A time span by its two largest units: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 14 min`, `5 d 2 h`."""
    if seconds is None:
        return "–"
    if seconds < 0.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = int(seconds + 0.5)
    if whole < _MINUTE:
        return f"{whole} s"
    for unit, name, part, part_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit} {name} {rest} {part_name}" if rest else f"{whole // unit} {name}"
    raise AssertionError(whole)


def short_span(seconds: float | None) -> str:
    """A time span by its largest unit only: `0.4 s`, `12 s`, `3 min`, `2 h`, `5 d`."""
    words = span(seconds).split(" ")
    return " ".join(words[:2])


def size(number_of_bytes: int) -> str:
    """A number of bytes in binary steps: `0 B`, `12 kB`, `3.4 MB`."""
    for scale, unit in _BYTE_SCALES:
        if number_of_bytes >= scale:
            scaled = number_of_bytes / scale
            return f"{scaled:.1f} {unit}" if scaled < 9.95 else f"{scaled:.0f} {unit}"
    return f"{number_of_bytes} B"


def percent(share: float) -> str:
    """A share from 0 to 1 in whole percent: `0 %`, `<1 %`, `62 %`."""
    return "<1 %" if 0 < share < 0.005 else f"{share * 100:.0f} %"


def plural(number: int, noun: str) -> str:
    """A number and its noun: `1 worker`, `2 workers`."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def sparkline(values: Sequence[float], width: int) -> str:
    """The last `width` values as blocks from zero to their maximum; blanks where there are none yet."""
    if width <= 0:
        return ""
    shown = values[-width:]
    top = max(shown, default=0.0)
    if top <= 0:
        return (_BLOCKS[0] * len(shown)).rjust(width)
    bars = (_BLOCKS[min(5, int(max(value, 0.0) / top * 5 + 0.5))] for value in shown)
    return "".join(bars).rjust(width)


def gauge(share: float, width: int) -> str:
    """A bar of thin and thick line: thick up to `share` (0 to 1).

    Any share above zero fills at least half a cell; only a share of 1 fills the last cell.
    """
    if width <= 0:
        return ""
    halves = min(2 * width, int(share * 2 * width + 0.5))
    if 0 < share < 1:
        halves = min(max(halves, 1), 2 * width - 1)
    thick = "━" * (halves // 2) + "╸" * (halves % 2)
    return thick.ljust(width, "─")


def format_change(value: Decimal | float | None, unit: str = "") -> str:
    """A difference with its sign, two decimals and its unit; the minus sign is as wide as the plus sign."""
    if value is None:
        return NOTHING
    text = f"{value:+,.2f}"
    if not text.strip("+-0.,"):
        return text[1:] + unit
    return text.replace("-", "−") + unit


def fit_number(text: str, value: Decimal | None, width: int) -> str:
    """The text, or scientific notation where it is wider than `width`: cutting off digits would show another number."""
    if value is None or len(text) <= width:
        return text
    sign = text[0] if text[0] in "+−" else ""
    return f"{sign}{abs(value):.2E}"


def printed_sign(text: str) -> int:
    """The sign of a change as printed: +1, -1, or 0 for one that is zero or unknown after rounding."""
    return 1 if text.startswith("+") else -1 if text.startswith("−") else 0


def arrow(text: str) -> str:
    """The arrow shown in addition to the colour of a change; empty for a change that is printed as zero."""
    return " ▲▼"[printed_sign(text)]


def format_volume(count: int) -> str:
    """A number of shares with one decimal, so that the points of a column are aligned: `412.0 k`, `57.6 M`."""
    if count < 1000:
        return str(count)
    scaled = float(count)
    unit = ""
    for unit in "kMGT":  # noqa: B007 - the last unit stands
        scaled /= 1000
        if scaled < 999.95:
            break
    return f"{scaled:.1f} {unit}"


@lru_cache(maxsize=512)
def format_age(seconds: int) -> str:
    """An age in its largest whole unit, never rounded up: `7 s`, `12 min`, `3 h`, `5 d`."""
    if seconds < 60:
        return f"{max(0, seconds)} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 172_800:
        return f"{seconds // 3600} h"
    return f"{seconds // 86_400} d"


MOMENT_WIDTH = 12
"""Cells of the longest time text."""


def format_time(time: datetime | None, now: datetime) -> str:
    """A local time: `14:02:11` today, `May 13 14:02` this year, `2025-05-13` before; a dash for none."""
    if time is None:
        return "–"
    local, here = time.astimezone(), now.astimezone()
    if local.date() == here.date():
        return f"{local:%H:%M:%S}"
    if local.year == here.year:
        return f"{local:%b} {local.day:2d} {local:%H:%M}"
    return f"{local:%Y-%m-%d}"


def seconds_between(earlier: datetime | None, later: datetime) -> float | None:
    """Seconds from one time to another, at least zero; None if either is missing."""
    return None if earlier is None else max(0.0, (later - earlier).total_seconds())
