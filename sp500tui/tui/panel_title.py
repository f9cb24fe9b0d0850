"""Titles in panel borders: plain text, set only when it changed, because setting one repaints the panel."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from sp500tui.tui.formats import clean


def set_titles(widget: Widget, title: str, subtitle: str = "") -> None:
    """Write both titles of a panel's border; text from outside stays text."""
    if _plain(widget.border_title) != title:
        widget.border_title = Content(clean(title))
    if _plain(widget.border_subtitle) != subtitle:
        widget.border_subtitle = Content(clean(subtitle))


def _plain(markup: str | None) -> str:
    """The text of a title as the widget gives it back."""
    return Content.from_markup(markup).plain if markup else ""
