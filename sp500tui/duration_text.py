"""A duration relative to another one, as printed by the status bar, the verdict and the log."""

from __future__ import annotations

_UNITS = ((1, "s"), (60, "min"), (3600, "h"))


def share_of_time(part: float, whole: float) -> str:
    """A duration relative to another one, in its unit: `1.7 of 2.0 s`, `0.4 of 10 min`; alone if the other is 0.

    One that is longer is never printed as equal: `>2.0 of 2.0 s`.
    """
    unit, name = next((each for each in _UNITS if (whole or part) < 99.5 * each[0]), _UNITS[-1])
    text, limit = _two_digits(part / unit), _two_digits(whole / unit)
    if whole <= 0:
        return f"{text} {name}"
    return f"{'>' if part > whole and text == limit else ''}{text} of {limit} {name}"


def _two_digits(number: float) -> str:
    return f"{number:.1f}" if number < 9.95 else f"{number:.0f}"
