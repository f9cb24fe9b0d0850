"""Names of the dashboard's themes. `tui/shell/themes.py` defines them; imports nothing heavy."""

from __future__ import annotations

from sp500tui.config.suggestions import suggestion

THEMES = (
    "sp500tui-dark",
    "sp500tui-light",
    "sp500tui-blue-orange",
    "sp500tui-blue-orange-light",
    "ansi-dark",
    "ansi-light",
    "atom-one-dark",
    "atom-one-light",
    "catppuccin-frappe",
    "catppuccin-latte",
    "catppuccin-macchiato",
    "catppuccin-mocha",
    "dracula",
    "flexoki",
    "gruvbox",
    "monokai",
    "nord",
    "rose-pine",
    "rose-pine-dawn",
    "rose-pine-moon",
    "solarized-dark",
    "solarized-light",
    "textual-dark",
    "textual-light",
    "tokyo-night",
)
"""The dashboard's own, then those of the version of Textual that `pyproject.toml` names."""


def validate_theme(name: str) -> None:
    """Raise ValueError with the remedy unless there is a theme of this name."""
    if name not in THEMES:
        raise ValueError(f"is not a theme; {suggestion(name, THEMES) or 'give one of ' + ', '.join(THEMES)}")
