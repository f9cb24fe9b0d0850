"""The known name that is probably meant by an unknown one."""

from __future__ import annotations

import pytest

from sp500tui.config.suggestions import suggestion


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("--intervall", ["--interval", "--once"], "did you mean --interval?"),
        ("price-workers", ["price_workers"], "did you mean price_workers?"),
        ("PRICE_WORKERS", ["price_workers"], "did you mean price_workers?"),
        ("SP500TUI_INTERVALL", ["SP500TUI_ONCE", "SP500TUI_INTERVAL"], "did you mean SP500TUI_INTERVAL?"),
        ("SP500TUI_XYZZY", ["SP500TUI_ONCE"], ""),
        ("xyzzy", ["interval"], ""),
        ("", ["interval"], ""),
        ("interval", [], ""),
    ],
)
def test_only_a_near_name_is_suggested(name: str, known: list[str], expected: str) -> None:
    assert suggestion(name, known) == expected
