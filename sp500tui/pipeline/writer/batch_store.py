"""Durability of a batch between the rows queue and the commit: an on-disk journal or a lease on the broker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from sp500tui.model import ConvertedQuote
from sp500tui.pipeline.core.queue import Lease


class PendingBatch(Protocol):
    """Rows that one writer is committing."""

    rows: int
    crashes: int
    """How many writer processes died while they held it."""

    @property
    def payload(self) -> bytes:
        """The rows as `storage.batch_codec.encode` encodes them."""

    @property
    def replayed(self) -> bool:
        """Whether an earlier run fetched the rows."""

    @property
    def quotes(self) -> Sequence[ConvertedQuote]:
        """The rows themselves; empty when only the payload is known."""


B = TypeVar("B", bound=PendingBatch)


class BatchStore(Protocol[B]):
    """Keeps batches safe until they are committed. `journal.Journal` is the implementation without a broker."""

    @property
    def accepts_when_down(self) -> bool:
        """Whether rows are stored here while the database is down; otherwise they stay in their queue."""

    @property
    def has_pending(self) -> bool:
        """Whether batches wait for a writer."""

    def take_pending(self) -> B | None:
        """Take the oldest waiting batch; None when there is none."""

    def accept(self, lease: Lease[ConvertedQuote], payload: bytes, *, on_disk: bool = True) -> B | None:
        """Take over the rows of a lease as one batch; None when the lease was lost.

        `on_disk`: False if a journal cannot be written, so that the rows are only in memory until the commit.
        """

    def dead_letter(
        self, lease: Lease[ConvertedQuote], survivors: Sequence[ConvertedQuote], dead: int
    ) -> None:
        """End a lease of which `dead` rows were dead-lettered; the `survivors` go back to the queue."""

    def split(self, batch: B, pieces: Sequence[bytes], *, crashes: int) -> None:
        """Replace a batch by smaller ones; those of more than one row start with `crashes` crashes."""

    def requeue(self, batch: B) -> None:
        """Requeue a batch that could not be committed."""

    def complete(self, batch: B, *, stored: int, dead: int) -> None:
        """End a committed batch: `stored` rows were new, `dead` were dead-lettered, the others were duplicates."""
