"""Titles in panel borders: plain text, set only when it changed, because setting one repaints the panel."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

from sp500tui.tui.render.formats import clean

_NO_BORDER = ("", "none")
_ENDS, _CORNERS = 2, 4
"""Cells of a border that a title leaves: those at its ends, and those of its corners."""


def set_titles(widget: Widget, title: str, subtitle: str = "", *, shorter: Sequence[str] = ()) -> None:
    """Write both titles of a panel's border; text from outside stays text.

    A panel without a lower border, as in a narrow window, has both in the upper one.

    Args:
        widget: The panel.
        title: The upper title.
        subtitle: The lower title.
        shorter: The upper title in fewer words, from long to short, for a border without room for it.
    """
    styles = widget.styles
    above_only = styles.border_bottom[0] in _NO_BORDER and styles.border_top[0] not in _NO_BORDER
    behind = f" · {subtitle}" if subtitle and above_only else ""
    variants = [clean(each + behind) for each in (title, *shorter)]
    room = widget.outer_size.width - _ENDS - _CORNERS * (styles.border_left[0] not in _NO_BORDER)
    chosen = next((each for each in variants if cell_len(each) <= room), variants[-1])
    above = Content(chosen if room > 0 else variants[0])
    below = Content("" if behind else clean(subtitle))
    # A widget gives its title back as markup, which is compared as such: not all of it can be read again.
    if widget.border_title != above.markup:
        widget.border_title = above
    if (widget.border_subtitle or "") != below.markup:
        widget.border_subtitle = below
