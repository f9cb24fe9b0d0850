"""Window sizes at which the layout changes, and the text shown in a window that is too small."""

from __future__ import annotations

from textual.widgets import Static

SMALLEST = (60, 16)
"""Columns and lines below which nothing useful can be drawn."""
WIDTHS = [(0, "-tiny-width"), (SMALLEST[0], "-narrow"), (100, "-medium"), (120, "-broad"), (160, "-wide")]
"""Style classes of a screen by its smallest width in columns."""
HEIGHTS = [
    (0, "-tiny-height"),
    (SMALLEST[1], "-low"),
    (22, "-short"),
    (30, "-middle"),
    (38, "-tall"),
    (52, "-high"),
]
"""Style classes of a screen by its smallest height in lines."""
MAP_FROM = (196, 52)
"""Minimum columns and lines at which the market map is shown next to the log."""


def too_small_notice(quit_key: str, back_key: str = "") -> Static:
    """The text that the style sheets show instead of the panels; `back_key` closes the screen, if it can be closed."""
    columns, lines = SMALLEST
    keys = f"{back_key}: back · {quit_key}: stop" if back_key else f"Press {quit_key} to stop it."
    return Static(
        "This window is too small.\n"
        f"The dashboard needs at least {columns} columns and {lines} lines.\n"
        f"The pipeline keeps running. {keys}",
        id="too-small",
        markup=False,
    )
