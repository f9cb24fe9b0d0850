"""The dashboard's themes, and the file that stores the chosen one."""

from __future__ import annotations

import json
from pathlib import Path

from textual.theme import Theme

from sp500tui.config.themes import THEMES
from sp500tui.errors import ConfigurationError

_DARK_FRAME = {
    "border-blurred": "#2c3643",
    "footer-background": "#10141a",
    "footer-description-foreground": "#98a5b8",
    "block-cursor-background": "#1c3546",
    "block-cursor-blurred-background": "#1c3546",
    "block-cursor-foreground": "#eef3f8",
    "block-cursor-text-style": "none",
    "scrollbar": "#5f6e82",
    "scrollbar-background": "#141920",
}
_LIGHT_FRAME = {
    "border-blurred": "#cbc8be",
    "footer-background": "#f6f5f1",
    "footer-description-foreground": "#4a5561",
    "block-cursor-background": "#cfe3ee",
    "block-cursor-blurred-background": "#cfe3ee",
    "block-cursor-foreground": "#16202a",
    "block-cursor-text-style": "none",
    "scrollbar": "#85817a",
    "scrollbar-background": "#f1efe9",
}


def _dark(name: str, *, accent: str, success: str, warning: str, error: str) -> Theme:
    return Theme(
        name=name,
        dark=True,
        primary=accent,
        secondary="#98a5b8",
        accent=accent,
        foreground="#d3d9e2",
        background="#10141a",
        surface="#141920",
        panel="#1c232d",
        success=success,
        warning=warning,
        error=error,
        variables={**_DARK_FRAME, "border": accent, "footer-key-foreground": accent},
    )


def _light(name: str, *, accent: str, success: str, warning: str, error: str) -> Theme:
    return Theme(
        name=name,
        dark=False,
        primary=accent,
        secondary="#4a5561",
        accent=accent,
        foreground="#262c33",
        background="#f6f5f1",
        surface="#faf9f6",
        panel="#e9e7e0",
        success=success,
        warning=warning,
        error=error,
        variables={**_LIGHT_FRAME, "border": accent, "footer-key-foreground": accent},
    )


DARK = _dark("sp500tui-dark", accent="#6cb2d9", success="#86c08f", warning="#dcb468", error="#ec8f8c")
LIGHT = _light("sp500tui-light", accent="#18597f", success="#1f5f35", warning="#704a00", error="#9c2622")
BLUE_ORANGE = _dark(
    "sp500tui-blue-orange", accent="#d3a6d6", success="#6fbef2", warning="#f0e442", error="#f5913d"
)
BLUE_ORANGE_LIGHT = _light(
    "sp500tui-blue-orange-light", accent="#6d3b78", success="#0a5288", warning="#5c5300", error="#a04300"
)
OWN_THEMES = (DARK, LIGHT, BLUE_ORANGE, BLUE_ORANGE_LIGHT)
"""The last two show gains and losses in blue and orange, which colour-blind users can distinguish."""


def remembered_theme(file: Path) -> str | None:
    """The stored theme; None without one or when the file cannot be read."""
    try:
        name = json.loads(file.read_text(encoding="utf-8")).get("theme")
    except (OSError, ValueError, AttributeError):
        return None
    return name if name in THEMES else None


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
