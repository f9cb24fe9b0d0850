"""A header in a file of symbols is recognised."""

from __future__ import annotations

from pathlib import Path

import pytest

from sp500tui.config.symbols import read_symbols_file


@pytest.mark.parametrize(
    "text",
    [
        "Symbol,Security\nAAPL,Apple Inc.\nMSFT,Microsoft\n",
        "symbol\nAAPL\nMSFT\n",
        "\ufeffTicker;Name\nAAPL;Apple, Inc.\nMSFT;Microsoft\n",
        "Name\tTicker Symbol\nApple\tAAPL\nMicrosoft\tMSFT\n",
        '"Symbol","Security"\r\n"AAPL","Apple, Inc."\r\n"MSFT","Microsoft"\r\n',
        "# a list\n\nSYMBOL\nAAPL, MSFT\n",
        "AAPL\nMSFT\n",
        "AAPL, MSFT",
        "AAPL MSFT",
        "AAPL;MSFT",
    ],
)
def test_only_symbols_are_read(text: str, tmp_path: Path) -> None:
    file = tmp_path / "symbols"
    file.write_text(text, "utf-8")
    assert read_symbols_file(file) == ("AAPL", "MSFT")
