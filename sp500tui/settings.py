"""The settings: their names, types, limits and defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from sp500tui import __version__


class Settings(BaseSettings):
    """Everything a run can be told: flags win over the environment, it over the TOML file, that over this."""

    model_config = SettingsConfigDict(env_prefix="SP500TUI_", extra="forbid", frozen=True)

    demo: bool = False
    """Use the demo market instead of Wikipedia and Yahoo Finance, with a database of its own."""
    no_ui: bool = False
    once: bool = False
    """One cycle, then drain and end."""
    cycles: int | None = Field(default=None, ge=1)
    duration: float | None = Field(default=None, gt=0)
    """Seconds after which intake stops."""
    interval: float = Field(default=15.0, ge=0.2, le=86_400)
    """Seconds from the start of a cycle to the start of the next."""
    symbols: tuple[str, ...] = ()
    """Only these symbols, as listed; empty for the whole index."""
    symbols_file: Path | None = None
    database: str | None = None
    """PostgreSQL URL; None for the embedded server."""
    data_dir: Path | None = None
    """Folder of the embedded database, journal and dead letters; None for the user's data folder."""
    price_workers: int = Field(default=4, ge=1, le=64)
    converters: int = Field(default=2, ge=1, le=64)
    writers: int = Field(default=2, ge=1, le=64)
    batch_size: int = Field(default=50, ge=1, le=500)
    """Symbols in one price request."""
    currency: str = "DKK"
    """ISO 4217 code of the second currency."""
    proxy: str | None = None
    ca_file: Path | None = None
    wikipedia_url: str = "https://en.wikipedia.org/wiki/List_of_S%26P_500_companies"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_file: Path | None = None
    log_format: Literal["text", "json"] = "text"
    json_output: bool = False
    requests_per_second: float = Field(default=4.0, gt=0, le=100)
    """Upper limit of the request rate towards Yahoo Finance."""
    request_timeout: float = Field(default=10.0, gt=0, le=120)
    """Seconds one request may take."""
    max_attempts: int = Field(default=4, ge=1, le=100)
    """How often a symbol is asked for in one cycle before it is named missing."""
    tickers_capacity: int = Field(default=2048, ge=1)
    quotes_capacity: int = Field(default=4096, ge=1)
    rows_capacity: int = Field(default=4096, ge=1)
    write_batch: int = Field(default=1000, ge=1, le=10_000)
    """Rows a writer commits at once, at most."""
    commit_timeout: float = Field(default=30.0, gt=0)
    """Seconds without an acknowledgement after which a writer process is replaced."""
    drain_timeout: float = Field(default=30.0, gt=0)
    """Seconds a drain may take before the rest is spooled."""
    journal: bool = True
    """Keep every batch on disk until it is committed."""
    journal_limit_mb: int = Field(default=1024, ge=1)
    """Megabytes of journal after which the stages hold back."""
    list_refresh: float = Field(default=21_600.0, ge=60)
    """Seconds after which the list of constituents is asked for again."""
    market_speed: float = Field(default=1.0, gt=0, le=100_000)
    """Demo market: how many times faster its trading day passes."""
    market_seed: int | None = None
    """Demo market: seed of its prices and faults."""
    theme: str | None = None
    refresh_rate: float = Field(default=4.0, ge=0.5, le=30)
    """Times a second the dashboard looks at the pipeline."""
    keymap: dict[str, str] = Field(default_factory=dict)
    """Dashboard: binding id → keys."""


USER_AGENT = f"sp500tui/{__version__} (+https://github.com/sp500tui/sp500tui)"
"""An honest name and a contact, as Wikimedia's robot policy asks for."""
