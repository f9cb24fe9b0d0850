"""The dashboard's own themes, and the file that stores the last choice."""

from __future__ import annotations

import json
from pathlib import Path

from textual.theme import BUILTIN_THEMES, Theme

from sp500tui.errors import ConfigurationError

DARK = Theme(
    name="sp500tui-dark",
    dark=True,
    primary="#6cb2d9",
    secondary="#8592a6",
    accent="#6cb2d9",
    foreground="#d3d9e2",
    background="#10141a",
    surface="#141920",
    panel="#1c232d",
    success="#86c08f",
    warning="#dcb468",
    error="#e5807d",
    variables={
        "border": "#6cb2d9",
        "border-blurred": "#2c3643",
        "footer-background": "#10141a",
        "footer-key-foreground": "#6cb2d9",
        "footer-description-foreground": "#8592a6",
        "block-cursor-background": "#28455a",
        "block-cursor-blurred-background": "#28455a",
        "block-cursor-foreground": "#eef3f8",
        "block-cursor-text-style": "none",
        "scrollbar": "#2c3643",
        "scrollbar-background": "#141920",
    },
)
LIGHT = Theme(
    name="sp500tui-light",
    dark=False,
    primary="#1d6a96",
    secondary="#5d6875",
    accent="#1d6a96",
    foreground="#262c33",
    background="#f6f5f1",
    surface="#faf9f6",
    panel="#e9e7e0",
    success="#27713f",
    warning="#8a5a00",
    error="#b0302b",
    variables={
        "border": "#1d6a96",
        "border-blurred": "#cbc8be",
        "footer-background": "#f6f5f1",
        "footer-key-foreground": "#1d6a96",
        "footer-description-foreground": "#5d6875",
        "block-cursor-background": "#cfe3ee",
        "block-cursor-blurred-background": "#cfe3ee",
        "block-cursor-foreground": "#16202a",
        "block-cursor-text-style": "none",
        "scrollbar": "#cbc8be",
        "scrollbar-background": "#f1efe9",
    },
)
OWN_THEMES = (DARK, LIGHT)


def known_themes() -> list[str]:
    """Names that `--theme` takes, the dashboard's own first."""
    return [theme.name for theme in OWN_THEMES] + sorted(BUILTIN_THEMES)


def check_theme(name: str) -> str:
    """The name itself.

    Raises:
        ConfigurationError: There is no theme of that name.
    """
    if name not in known_themes():
        raise ConfigurationError(f"unknown theme {name!r}; use one of {', '.join(known_themes())}")
    return name


def remembered_theme(file: Path) -> str | None:
    """The stored theme; None without one or when the file cannot be read."""
    try:
        name = json.loads(file.read_text(encoding="utf-8")).get("theme")
    except (OSError, ValueError, AttributeError):
        return None
    return name if name in known_themes() else None


def remember_theme(file: Path, name: str) -> None:
    """Store the choice.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"theme": name}) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot save the theme to {file}: {error.strerror}") from error
