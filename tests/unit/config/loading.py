"""Loads settings from flags and from files in the tests of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sp500tui.config.loader import load
from sp500tui.errors import ConfigurationError, ExitCode


def toml(folder: Path, text: str) -> str:
    """The path of a configuration file with this text."""
    file = folder / "settings.toml"
    file.write_text(text)
    return str(file)


def refusal(flags: dict[str, Any], config: str | None = None) -> str:
    """The message, on one line, with which these settings are refused."""
    with pytest.raises(ConfigurationError) as caught:
        load(flags, config)
    assert caught.value.exit_code is ExitCode.USAGE
    message = str(caught.value)
    assert "\n" not in message
    return message
