"""Figures as lines of text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.report.figures import Figure, Spread


def value(number: float) -> str:
    """Three significant digits, with thousands separators."""
    if number == 0 or abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def spread(values: Spread) -> str:
    """The median with its bounds."""
    if values.min == values.max:
        return value(values.median)
    return f"{value(values.median)} ({value(values.min)} – {value(values.max)})"


def verdict(figure: Figure) -> str:
    """Whether the goal was met, as a word."""
    return {True: "met", False: "MISSED", None: "–"}[figure.met]


def table(figures: Sequence[Figure]) -> str:
    """A block of lines per figure: ours, the peers, the limit, the ratio, the goal, the equal conditions."""
    lines: list[str] = []
    equal = ""
    for figure in figures:
        if figure.equal != equal:
            equal = figure.equal
            lines.append(f"  held equal: {equal}")
        lines.append(f"  {figure.benchmark} · {figure.metric} [{figure.unit}]: {spread(figure.ours)}")
        lines += [f"      {name}: {spread(peer)}" for name, peer in figure.peers.items()]
        if figure.limit:
            lines.append(f"      limit, {figure.limit_name}: {spread(figure.limit)}")
        if figure.ratio:
            lines.append(f"      {figure.ratio_name}: {spread(figure.ratio)}")
        if figure.goal:
            lines.append(f"      goal {figure.goal}: {verdict(figure)}")
        if figure.note:
            lines.append(f"      {figure.note}")
    return "\n".join(lines)
