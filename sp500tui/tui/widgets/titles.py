"""Titles in panel borders: plain text, set only if it changed, because setting it repaints the panel."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

from sp500tui.tui.render.formats import clean

_NO_BORDER = ("", "none")
_ENDS, _CORNERS = 2, 4
"""Cells of a border that a title cannot use: those at its ends, and the corners."""


def set_titles(widget: Widget, title: str, subtitle: str = "", *, shorter: Sequence[str] = ()) -> None:
    """Set both titles of a panel's border as plain text, so that external text is not read as markup.

    If the panel has no lower border, as in a narrow window, the upper one has both.

    Args:
        widget: The panel.
        title: The upper title.
        subtitle: The lower title.
        shorter: Shorter forms of the upper title, from long to short, for a border without room for it.
    """
    styles = widget.styles
    above_only = styles.border_bottom[0] in _NO_BORDER and styles.border_top[0] not in _NO_BORDER
    behind = f" · {subtitle}" if subtitle and above_only else ""
    variants = [clean(each + behind) for each in (title, *shorter)]
    room = widget.outer_size.width - _ENDS - _CORNERS * (styles.border_left[0] not in _NO_BORDER)
    chosen = next((each for each in variants if cell_len(each) <= room), variants[-1])
    above = Content(chosen if room > 0 else variants[0])
    below = Content("" if behind else clean(subtitle))
    # A widget returns its title as markup, which is compared as such: not all of it can be parsed again.
    if widget.border_title != above.markup:
        widget.border_title = above
    if (widget.border_subtitle or "") != below.markup:
        widget.border_subtitle = below
