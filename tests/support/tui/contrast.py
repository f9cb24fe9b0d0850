"""Contrast of colours as defined by WCAG 2.2, and colours as seen with colour blindness."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from rich.color import Color
from rich.segment import Segment

Triplet = tuple[float, float, float]
"""Red, green and blue from 0 to 1."""
_DEFICIENCIES = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
}
"""Linear RGB as seen with a full deficiency (Machado, Oliveira and Fernandes, 2009)."""


def triplet(color: Color) -> Triplet:
    value = color.get_truecolor()
    return value.red / 255, value.green / 255, value.blue / 255


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def luminance(color: Triplet) -> float:
    """Relative luminance from 0 to 1."""
    red, green, blue = map(_linear, color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Triplet, other: Triplet) -> float:
    """Contrast ratio from 1 for equal colours to 21 for black on white."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def is_text(piece: str) -> bool:
    """Whether a piece has a letter or digit, so that the higher limit applies."""
    return any(character.isalnum() for character in piece)


def is_line(piece: str) -> bool:
    """Whether a piece consists only of decorative lines of frames and empty gauges."""
    return all("─" <= character <= "╿" or character in " ▔▁▎▊" for character in piece)


def pieces(strips: Iterable[Iterable[Segment]]) -> Iterator[tuple[str, float]]:
    """Every piece of text with the contrast of its colours."""
    for strip in strips:
        for text, style, _ in strip:
            if style is None or not text.strip() or style.color is None or style.bgcolor is None:
                continue
            front, ground = triplet(style.color), triplet(style.bgcolor)
            yield text, contrast(ground, front)


def seen_with(deficiency: str, color: Triplet) -> Triplet:
    """Linear RGB of a colour as seen with a colour vision deficiency."""
    linear = tuple(map(_linear, color))
    red, green, blue = (
        min(1.0, max(0.0, sum(factor * part for factor, part in zip(row, linear, strict=True))))
        for row in _DEFICIENCIES[deficiency]
    )
    return red, green, blue


def difference(one: Triplet, other: Triplet) -> float:
    """Distance of two colours in CIELAB, given in linear RGB: 2 is just noticeable."""
    pairs = zip(_lab(one), _lab(other), strict=True)
    return math.sqrt(sum((left - right) ** 2 for left, right in pairs))


def _lab(linear: Triplet) -> Triplet:
    red, green, blue = linear
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)
