"""Textual bindings for the entries of the key table."""

from __future__ import annotations

from textual.binding import Binding

from sp500tui.config.keys import KEYS_BY_ID


def bind(
    key_id: str,
    action: str,
    title: str,
    *,
    show: bool = True,
    group: Binding.Group | None = None,
    priority: bool = False,
    explanation: str = "",
) -> Binding:
    """Bind an entry of the key table to an action.

    Args:
        key_id: Id of the entry.
        action: Textual action.
        title: Short name for the key bar and the help screen.
        show: Whether the key bar shows it.
        group: Group of bindings that the key bar shows as one.
        priority: Whether the key takes precedence over the focused widget.
        explanation: What the action does, if it differs from the table's explanation.
    """
    key = KEYS_BY_ID[key_id]
    return Binding(
        key.keys,
        action,
        title,
        show,
        priority=priority,
        id=key.id,
        tooltip=explanation or key.explanation,
        group=group,
    )
