"""What the commands print to a terminal: aligned columns, without control characters."""

from __future__ import annotations

from collections.abc import Sequence

from sp500tui.logs.redaction import plain


def as_columns(rows: Sequence[Sequence[str]], right_aligned: frozenset[int] = frozenset()) -> str:
    """Lines with aligned columns; `right_aligned` are the indices of columns with numbers."""
    cleaned = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cleaned, strict=True)]
    return "".join(
        "  ".join(
            cell.rjust(width) if index in right_aligned else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        + "\n"
        for row in cleaned
    )
