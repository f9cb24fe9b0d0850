"""The ledger: every quote that was handed out, for a checker to compare with what was stored."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sp500tui.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ServedQuote:
    """One quote of one answer."""

    symbol: str
    """As listed: `BRK.B`."""
    quote_time: int
    """Seconds since 1970."""
    price: str
    """Exactly as the body printed it."""


class Ledger:
    """Appends JSON lines; what it wrote is in the kernel's hands at once, so a killed process loses none."""

    def __init__(self, path: Path) -> None:
        """Open the file for appending, readable by its owner only.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"cannot write the ledger {path}: {error.strerror}; name a file in a folder of yours"
            ) from error

    def add(self, quotes: Iterable[ServedQuote]) -> None:
        """Append the quotes of one answer that was sent completely."""
        lines = "".join(
            f'{{"symbol":{json.dumps(quote.symbol)},"quote_time":{quote.quote_time},"price":"{quote.price}"}}\n'
            for quote in quotes
        ).encode()
        while lines:
            lines = lines[os.write(self._file, lines) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_ledger(path: Path) -> list[ServedQuote]:
    """All quotes in a ledger; a last line torn by a kill is left out."""
    whole = path.read_text("utf-8").rpartition("\n")[0]
    return [ServedQuote(**json.loads(line)) for line in whole.splitlines()]
