"""The environments that count as lacking Unicode."""

from __future__ import annotations

import pytest

from sp500tui.config.charset import needs_ascii


@pytest.mark.parametrize(
    ("environment", "ascii_only"),
    [
        ({}, False),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "da_DK.utf8", "TERM": "xterm"}, False),
        ({"LC_ALL": "C"}, True),
        ({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, True),
        ({"LC_ALL": "", "LC_CTYPE": "C.UTF-8", "LANG": "C"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
        ({"LANG": "en_US.UTF-8", "TERM": "vt100"}, True),
        ({"LANG": "en_US.UTF-8", "TERM": "xterm-256color"}, False),
    ],
)
def test_the_locale_and_the_terminal_decide(environment: dict[str, str], ascii_only: bool) -> None:
    assert needs_ascii(environment) is ascii_only
