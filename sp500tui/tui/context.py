"""The interface of the app for its screens and panels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from textual.binding import Binding

from sp500tui.config.settings import Settings
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.tui.polling import PipelineFeed


class PaletteEntry(NamedTuple):
    """One entry of the command palette."""

    title: str
    explanation: str
    run: Callable[[], object]


class DashboardContext(Protocol):
    """The app as its screens see it: `cast("DashboardContext", self.app)`."""

    clock: Callable[[], datetime]
    """The current time, UTC."""
    export_folder: Path
    selected_stage: StageName
    """The target of the scaling keys."""
    refusal: str
    """Why this dashboard cannot act on the pipeline; empty if it can."""

    @property
    def settings(self) -> Settings:
        """The run's settings."""

    @property
    def feed(self) -> PipelineFeed:
        """The pipeline, and how far its streams have been read."""

    @property
    def snapshot(self) -> Snapshot:
        """The latest snapshot."""

    @property
    def events(self) -> Sequence[PipelineEvent]:
        """The latest events, oldest first."""

    @property
    def prices_converted_first(self) -> bool:
        """Whether the price table shows the second currency first."""

    def offers(self, key_id: str | None) -> bool:
        """Whether a key has an effect here."""

    def offered_key(self, key_id: str) -> str:
        """The first key of a binding as configured, by the binding's id; empty where it has no effect."""

    def refresh_data(self) -> None:
        """Poll the pipeline now instead of at the next refresh."""

    def ask(self, question: str, act: Callable[[], object]) -> None:
        """Ask a question in a dialog and call `act` if the answer is yes."""

    def palette_entries(self) -> Iterable[PaletteEntry]:
        """The entries of the command palette other than the keys' actions."""

    def palette_matches(self, query: str) -> Iterable[PaletteEntry]:
        """Entries of the command palette derived from the query."""

    def offered_screens(self) -> Mapping[str, str]:
        """The screens other than the main one: names for the key bar by the action that opens them."""

    def keys_of(self, binding: Binding) -> str:
        """The keys of a binding as configured: `+ =`, `← h`."""

    def key_of(self, key_id: str) -> str:
        """The first key of a binding as configured, by the binding's id: `esc`."""

    def key_label(self, key: str) -> str:
        """A key as it is printed: `esc` for `escape`."""

    def listed_symbols(self) -> Sequence[str]:
        """Symbols in the order of the price table; empty while it shows none."""

    def select_symbol(self, symbol: str) -> None:
        """Move the cursor of the price table to a symbol."""
