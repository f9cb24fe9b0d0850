"""The folder of the style sheets: inside the installed package, or at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]


def style_sheet(name: str) -> Path:
    """The path of a style sheet."""
    shipped = _PACKAGE / "styles" / name
    return shipped if shipped.exists() else _PACKAGE.parent / "styles" / name
