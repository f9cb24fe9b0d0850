"""Inserts the figures into a document between its markers: a table and a plot per benchmark, or a summary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.benchmarks.report.figures import Figure, Spread
from tests.benchmarks.report.tables import spread, value, verdict

_BAR, _GAP, _LEFT, _WIDTH = 18, 10, 330, 860
_COLOURS = {"ours": "#2b7a9e", "peer": "#b7bfc9", "limit": "#6b9e4a"}


_SUMMARY = "summary"
_HEADLINES = {
    ("refresh", "wall at 100 ms beside yf.download"): "all 503 prices once, from 100 ms away",
    (
        "ingest",
        "2 writers beside a connection for each row, TCP and a password",
    ): "rows, from the queue to the commit",
    (
        "dashboard",
        "processor time of a refresh with 503 changes: whole dashboard",
    ): "processor time of a refresh, 503 changed rows",
}
"""Of the figures that a summary shows the benchmark and the beginning of the metric, and what they are called there."""


def write(document: Path, figures: Sequence[Figure]) -> None:
    """Replace the text between `<!-- NAME -->` and `<!-- /NAME -->` for every benchmark measured.

    A document with markers for a `summary` gets only the summary.

    Raises:
        ValueError: The document has no such markers.
    """
    text = document.read_text(encoding="utf-8")
    if f"<!-- {_SUMMARY} -->" in text:
        document.write_text(_with_block(document, text, _SUMMARY, summary(figures)), encoding="utf-8")
        return
    for name in dict.fromkeys(figure.benchmark for figure in figures):
        chosen = [figure for figure in figures if figure.benchmark == name]
        plot = document.parent / "plots" / f"{name}.svg"
        plot.parent.mkdir(exist_ok=True)
        plot.write_text(bars(chosen), encoding="utf-8")
        block = f"![{name}](plots/{plot.name})\n\n{markdown(chosen)}"
        text = _with_block(document, text, name, block)
    document.write_text(text, encoding="utf-8")


def _with_block(document: Path, text: str, name: str, block: str) -> str:
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{document} has no place for {name}: write {begin.strip()} and {end}")
    return f"{before}{begin}{block}\n{end}{after}"


def summary(figures: Sequence[Figure]) -> str:
    """A table of the most important figures, each with its first peer; those not measured are left out."""
    lines = ["| | sp500tui | alternative | ratio |", "|---|---|---|---|"]
    for (benchmark, metric), words in _HEADLINES.items():
        for figure in figures:
            if figure.benchmark == benchmark and figure.metric.startswith(metric) and figure.ratio:
                name, peer = next(iter(figure.peers.items()))
                ours, theirs, ratio = (value(each.median) for each in (figure.ours, peer, figure.ratio))
                cells = words, f"{ours} {figure.unit}", f"`{name}`: {theirs} {figure.unit}", f"{ratio}×"
                lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines)


def markdown(figures: Sequence[Figure]) -> str:
    """A table of the figures, followed by the equal conditions and the notes."""
    lines = ["| figure | ours | peers | limit | ratio | goal | |", "|---|---|---|---|---|---|---|"]
    for figure in figures:
        peers = "<br>".join(f"{name}: {spread(peer)}" for name, peer in figure.peers.items())
        limit = f"{figure.limit_name}: {spread(figure.limit)}" if figure.limit else ""
        ratio = f"{figure.ratio_name}: {spread(figure.ratio)}" if figure.ratio else ""
        cells = (
            f"{figure.metric} [{figure.unit}]",
            spread(figure.ours),
            peers,
            limit,
            ratio,
            figure.goal,
            verdict(figure),
        )
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    remarks = dict.fromkeys(f"Held equal: {figure.equal}." for figure in figures)
    notes = dict.fromkeys(f"{figure.metric}: {figure.note}." for figure in figures if figure.note)
    return "\n".join([*lines, "", *(f"* {remark}" for remark in [*remarks, *notes])])


def bars(figures: Sequence[Figure]) -> str:
    """An SVG of horizontal bars, one block per figure, each to its own scale."""
    parts: list[str] = []
    y = 8
    for figure in figures:
        parts.append(_text(8, y + 13, f"{figure.metric} [{figure.unit}]", bold=True))
        y += _BAR + 4
        rows = [("ours", figure.ours, "ours"), *((name, peer, "peer") for name, peer in figure.peers.items())]
        if figure.limit:
            rows.append((figure.limit_name, figure.limit, "limit"))
        longest = max(values.max for _, values, _ in rows) or 1.0
        for name, values, colour in rows:
            parts.append(_row(y, name, values, longest, colour))
            y += _BAR + 2
        y += _GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>'
    )
    return "\n".join([head, *parts, "</svg>\n"])


def _row(y: int, name: str, values: Spread, longest: float, colour: str) -> str:
    """A bar as long as the median, with a line from the smallest to the largest value."""
    room = _WIDTH - _LEFT - 110
    middle, low, high = (round(room * part / longest, 1) for part in (values.median, values.min, values.max))
    centre = y + _BAR / 2
    return (
        _text(_LEFT - 8, y + 13, name, right=True)
        + f'<rect x="{_LEFT}" y="{y}" width="{max(middle, 1.0)}" height="{_BAR - 4}" fill="{_COLOURS[colour]}"/>'
        + f'<line x1="{_LEFT + low}" x2="{_LEFT + high}" y1="{centre - 2}" y2="{centre - 2}" stroke="#333333"/>'
        + _text(_LEFT + high + 6, y + 12, value(values.median))
    )


def _text(x: float, y: float, words: str, *, bold: bool = False, right: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    anchor = ' text-anchor="end"' if right else ""
    return f'<text x="{x}" y="{y}"{weight}{anchor}>{escape(words)}</text>'
