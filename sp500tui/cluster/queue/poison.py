"""Items that no worker is to get again: unreadable ones, and those that too many nodes were lost with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sp500tui.logs.redaction import plain

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PoisonMessage(Generic[T]):
    """An item that no worker is to get again."""

    payload: bytes
    item: T | None
    """None where the bytes are unreadable."""
    reason: str


def name_in_log(poison: Sequence[PoisonMessage[Any]]) -> None:
    """Keep no more of them than a line each."""
    for found in poison:
        shown = plain(found.payload[:120].decode(errors="replace"))
        _log.error("thrown away: %s (%s)", shown, found.reason)
