"""Titles in panel borders: plain text, set only when it changed, because setting one repaints the panel."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from sp500tui.tui.render.formats import clean

_NO_BORDER = ("", "none")


def set_titles(widget: Widget, title: str, subtitle: str = "") -> None:
    """Write both titles of a panel's border; text from outside stays text.

    A panel without a lower border, as in a narrow window, has both in the upper one.
    """
    above_only = (
        widget.styles.border_bottom[0] in _NO_BORDER and widget.styles.border_top[0] not in _NO_BORDER
    )
    if subtitle and above_only:
        title, subtitle = f"{title} · {subtitle}", ""
    above, below = Content(clean(title)), Content(clean(subtitle))
    # A widget gives its title back as markup, which is compared as such: not all of it can be read again.
    if widget.border_title != above.markup:
        widget.border_title = above
    if (widget.border_subtitle or "") != below.markup:
        widget.border_subtitle = below
