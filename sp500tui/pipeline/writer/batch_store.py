"""Who answers for a batch between the rows queue and the commit: the journal on disk, or a lease on a broker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from sp500tui.model import ConvertedQuote
from sp500tui.pipeline.core.queue import Lease


class PendingBatch(Protocol):
    """Rows on their way to the database, in one writer's hand."""

    rows: int
    crashes: int
    """How many writer processes died with it."""

    @property
    def payload(self) -> bytes:
        """As `storage.rows.encode` made it."""

    @property
    def replayed(self) -> bool:
        """Whether an earlier run fetched them."""

    @property
    def quotes(self) -> Sequence[ConvertedQuote]:
        """The rows themselves; empty when only the payload is known."""


B = TypeVar("B", bound=PendingBatch)


class BatchStore(Protocol[B]):
    """What the writers need of it; `journal.Journal` is the one of a program that runs alone."""

    @property
    def accepts_when_down(self) -> bool:
        """Whether rows are brought here while the database is away; else they wait in the queue, as safe there."""

    @property
    def has_pending(self) -> bool:
        """Whether batches wait here for a writer."""

    def take_pending(self) -> B | None:
        """The oldest batch that waits here; None when none does."""

    def accept(
        self, lease: Lease[ConvertedQuote], rows: Sequence[ConvertedQuote], payload: bytes
    ) -> B | None:
        """Answer for the rows of a lease from now on; None when the lease was lost."""

    def dead_letter(
        self, lease: Lease[ConvertedQuote], survivors: Sequence[ConvertedQuote], dead: int
    ) -> None:
        """Take `dead` rows, dead letters now, out of the queue; the `survivors` go back to it."""

    def split(self, batch: B, pieces: Sequence[bytes], *, crashes: int) -> None:
        """Put a batch back as several smaller ones, those of many rows already charged with `crashes`."""

    def requeue(self, batch: B) -> None:
        """A writer could not commit it: it waits for the next."""

    def complete(self, batch: B, *, stored: int, dead: int) -> None:
        """It is committed: `stored` rows were new, `dead` were refused for good, the others known already."""
