"""The settings: names, types, limits and defaults. `loader.py` collects their values."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sp500tui import __version__
from sp500tui.config.addresses import split_address
from sp500tui.config.charset import needs_ascii
from sp500tui.config.currencies import validate_currency
from sp500tui.config.keys import validate_keymap
from sp500tui.config.symbols import parse_symbols, split_symbols
from sp500tui.config.themes import validate_theme
from sp500tui.config.whole_numbers import whole_number
from sp500tui.logs.redaction import shown_value

LIVE_INTERVAL = 15.0
DEMO_INTERVAL = 2.0
LIVE_RATE = 5.0
DEMO_RATE = 200.0
SCREEN_DEMO: Mapping[str, float] = {"batch_size": 5, "requests_per_second": 55.0, "market_speed": 20.0}
"""Defaults of the demo in the dashboard: requests that take most of a cycle, and a trading day in 20 minutes."""
_AGE = re.compile(r"([1-9]\d{0,4})d")
_BROKER_SCHEMES = ("redis", "rediss")
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
MIN_WORKERS = 1
MAX_WORKERS = 64
"""Workers of a stage on one node."""
MIN_INTERVAL = 0.2
MAX_INTERVAL: float = 86_400
"""Seconds from the start of a cycle to the start of the next."""
STAGES = ("scraper", "price", "converter", "writer", "history")
_MOST_WORKERS = {stage: 1 if stage == "scraper" else MAX_WORKERS for stage in STAGES}


def _default_interval(known: dict[str, Any]) -> float:
    return DEMO_INTERVAL if known.get("demo") else LIVE_INTERVAL


def _default_rate(known: dict[str, Any]) -> float:
    return DEMO_RATE if known.get("demo") else LIVE_RATE


class Settings(BaseModel):
    """Every setting of a run. Defaults only; `loader.load` applies the file, the environment and the command line."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    demo: bool = False
    """Use the demo market instead of Wikipedia and Yahoo Finance, with its own database."""
    no_ui: bool = False
    once: bool = False
    """Run one cycle, drain and exit."""
    cycles: int | None = Field(default=None, ge=1, le=1_000_000_000)
    duration: float | None = Field(default=None, gt=0, le=31_536_000)
    """Seconds after which fetching stops."""
    interval: float = Field(default_factory=_default_interval, ge=MIN_INTERVAL, le=MAX_INTERVAL)
    """Seconds from the start of a cycle to the start of the next. Default: 15, in the demo 2."""
    record: Path | None = None
    """Folder in which the run is recorded, for `sp500tui replay`; None for no recording."""
    symbols: tuple[str, ...] = ()
    """Only these symbols, as listed; empty for the whole index."""
    symbols_file: Path | None = None
    database: str | None = None
    """PostgreSQL URL; None for the embedded server."""
    read_database: str | None = None
    """PostgreSQL URL of a read replica for the dashboard's queries; None for the database itself."""
    broker: str | None = None
    """Redis or Valkey URL of the cluster to join; None to run alone."""
    broker_password_file: Path | None = None
    """File whose first line is the broker's password, for a URL that holds none."""
    cluster_name: str = Field(default="default", pattern=r"^[A-Za-z0-9_-]{1,40}$")
    """Namespace for clusters that share a broker."""
    stages: str | None = None
    """Stages that this node of a cluster runs, such as `price=16,writer`; None for all."""
    fetch_group: str = Field(default="shared", pattern=r"^[A-Za-z0-9_.-]{1,40}$")
    """Name of the outgoing address: nodes of one group share the rate limit towards Yahoo Finance."""
    data_dir: Path | None = None
    """Folder of the embedded database, journal and dead letters; None for the user's data folder."""
    price_workers: int = Field(default=12, ge=MIN_WORKERS, le=MAX_WORKERS)
    """The default is one more than the requests for the whole index, so that they all run at the same time."""
    converters: int = Field(default=2, ge=MIN_WORKERS, le=MAX_WORKERS)
    writers: int = Field(default=2, ge=MIN_WORKERS, le=MAX_WORKERS)
    history_workers: int = Field(default=2, ge=MIN_WORKERS, le=MAX_WORKERS)
    """Threads that request bars."""
    heal: bool = False
    """Fetch missing 1-minute bars in the background."""
    keep_quotes: str | None = None
    """Age, such as `90d`, beyond which collected prices are replaced by 1-minute bars; None to keep them."""
    keep_bars_1m: str | None = None
    """Age beyond which 1-minute bars are replaced by 15-minute bars; None to keep them."""
    batch_size: int = Field(default=50, ge=1, le=500)
    """Symbols in one price request."""
    currency: str = "DKK"
    """ISO 4217 code of the second currency."""
    proxy: str | None = None
    ca_file: Path | None = None
    wikipedia_url: str = "https://en.wikipedia.org/wiki/List_of_S%26P_500_companies"
    metrics: str | None = None
    """`HOST:PORT` of the metrics endpoint; None for none."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_file: Path | None = None
    """`none` for no log files."""
    log_format: Literal["text", "json"] = "text"
    json_output: bool = False
    requests_per_second: float = Field(default_factory=_default_rate, gt=0, le=1_000)
    """Limit of the request rate to Yahoo Finance. Default: 5, in the demo 200."""
    request_timeout: float = Field(default=10.0, gt=0, le=120)
    """Seconds."""
    max_attempts: int = Field(default=4, ge=1, le=100)
    """Attempts per symbol in one cycle before it counts as missing."""
    tickers_capacity: int = Field(default=2048, ge=1, le=1_000_000)
    quotes_capacity: int = Field(default=4096, ge=1, le=1_000_000)
    rows_capacity: int = Field(default=4096, ge=1, le=1_000_000)
    write_batch: int = Field(default=1000, ge=1, le=10_000)
    """Maximum rows per commit."""
    commit_timeout: float = Field(default=30.0, gt=0, le=3_600)
    """Seconds without an acknowledgement after which a writer process is restarted."""
    drain_timeout: float = Field(default=30.0, gt=0, le=3_600)
    """Seconds after which a drain stops and the remaining rows are spooled to disk."""
    journal: bool = True
    """Keep every batch on disk until it is committed."""
    journal_limit_mb: int = Field(default=1024, ge=1, le=1_048_576)
    """Megabytes of journal at which the stages pause."""
    list_refresh: float = Field(default=21_600.0, ge=60, le=31_536_000)
    """Seconds after which the list of constituents is refreshed."""
    market_speed: float = Field(default=1.0, gt=0, le=100_000)
    """Demo market: speed of its trading day, 1 for real time."""
    market_seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    """Demo market: seed of its prices and faults."""
    tour: bool = False
    """Demo market: start the dashboard's tour of faults."""
    theme: str | None = None
    ascii: bool = Field(default_factory=needs_ascii)
    """Draw with ASCII characters only. Default: if the locale is not UTF-8 or the terminal has no Unicode."""
    refresh_rate: float = Field(default=4.0, ge=0.5, le=30)
    """Refreshes of the dashboard per second."""
    keymap: dict[str, str] = Field(default_factory=dict)
    """Dashboard: keys by binding id."""

    @field_validator("symbols", mode="before")
    @classmethod
    def _normalize_symbols(cls, value: object) -> object:
        if isinstance(value, str):
            if not (parts := split_symbols(value)):
                raise ValueError("contains no symbol; give some such as AAPL,BRK.B")
            value = parts
        if not isinstance(value, (list, tuple)) or not all(isinstance(part, str) for part in value):
            return value
        try:
            return parse_symbols(value)
        except ValueError as error:
            raise ValueError(f"is invalid: {error}") from None

    @field_validator("currency", mode="before")
    @classmethod
    def _validate_currency(cls, value: object) -> object:
        return validate_currency(value) if isinstance(value, str) else value

    @field_validator("keep_quotes", "keep_bars_1m")
    @classmethod
    def _validate_age(cls, value: str | None) -> str | None:
        if value is not None and not _AGE.fullmatch(value):
            raise ValueError(
                "is not a number of days from 1d to 99999d; give one such as 90d, or leave it out to keep everything"
            )
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator(
        "record", "symbols_file", "data_dir", "ca_file", "log_file", "broker_password_file", mode="before"
    )
    @classmethod
    def _expand_path(cls, value: object) -> object:
        if not isinstance(value, (str, Path)):
            return value
        if not str(value).strip() or "\0" in str(value):
            raise ValueError("is not a path; give one, or leave the option out")
        return expand_user(Path(value))

    @field_validator("data_dir")
    @classmethod
    def _validate_data_dir(cls, value: Path | None) -> Path | None:
        # PostgreSQL writes the path of its socket into a file of lines.
        if value is not None and not {"\n", "\r"}.isdisjoint(str(value)):
            raise ValueError("contains a line break; give a path without one")
        return value

    @field_validator("ca_file")
    @classmethod
    def _validate_ca_file(cls, value: Path | None) -> Path | None:
        if value is not None:
            validate_certificate(value)
        return value

    @field_validator("proxy")
    @classmethod
    def _validate_proxy_url(cls, value: str | None) -> str | None:
        if value is not None:
            validate_url(value, _PROXY_SCHEMES, "http://proxy.example:3128")
        return value

    @field_validator("wikipedia_url")
    @classmethod
    def _validate_page_url(cls, value: str) -> str:
        example = "https://en.wikipedia.org/wiki/List_of_S%26P_500_companies"
        validate_url(value, ("http", "https"), example, page=True)
        return value

    @field_validator("broker")
    @classmethod
    def _validate_broker_url(cls, value: str | None) -> str | None:
        if value is not None:
            validate_url(value, _BROKER_SCHEMES, "redis://broker.example:6379/0")
        return value

    @field_validator("metrics")
    @classmethod
    def _validate_metrics_address(cls, value: str | None) -> str | None:
        if value is not None:
            split_address(value)
        return value

    @field_validator("stages")
    @classmethod
    def _validate_stages(cls, value: str | None) -> str | None:
        if value is not None:
            validate_stages(value)
        return value

    @field_validator("theme")
    @classmethod
    def _validate_theme(cls, value: str | None) -> str | None:
        if value is not None:
            validate_theme(value)
        return value

    @field_validator("keymap")
    @classmethod
    def _validate_keymap(cls, value: dict[str, str]) -> dict[str, str]:
        validate_keymap(value)
        return value

    @field_validator("database", "read_database")
    @classmethod
    def _validate_database_url(cls, value: str | None) -> str | None:
        # The rest is checked in `storage.url` by the PostgreSQL client, which is slow to load.
        if value is not None and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("does not begin with postgresql://; write postgresql://user@host:5432/database")
        return value


def parse_stages(text: str) -> dict[str, int | None]:
    """Parse `scraper,price=16` into the number of workers by stage, None if no number is given.

    Raises:
        ValueError: with the reason and the remedy.
    """
    chosen: dict[str, int | None] = {}
    for part in text.split(","):
        name, given, number = (piece.strip() for piece in part.partition("="))
        if name not in STAGES:
            raise ValueError(
                f"contains the unknown stage '{shown_value(name)}'; the stages are {', '.join(STAGES)}"
            )
        if name in chosen:
            raise ValueError(f"contains the stage {name} twice; name each once")
        workers = whole_number(number, 1, _MOST_WORKERS[name]) if given else None
        if given and workers is None:
            limit = "only one worker" if _MOST_WORKERS[name] == 1 else f"1 to {_MOST_WORKERS[name]} workers"
            raise ValueError(
                f"requests {number or 'no number of'} {name} workers; {name} has {limit} per node"
            )
        chosen[name] = workers
    return chosen


def validate_stages(text: str) -> None:
    """Raise ValueError with the remedy unless the text lists stages."""
    if not text.strip():
        raise ValueError("contains no stage; give some such as price=16,writer=4")
    parse_stages(text)


def expand_user(path: Path) -> Path:
    """Expand `~`; raises ValueError where the home directory is unknown."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("refers to an unknown home directory; write the path in full") from None


def validate_url(url: str, schemes: tuple[str, ...], example: str, *, page: bool = False) -> None:
    """Raise ValueError with the remedy unless `url` has one of the schemes, a host and a valid port.

    Only the address of a `page` may contain an `@` after the host. Elsewhere it shows that the host is taken from a
    password with `/`, `?` or `#` in it.
    """
    remedy = f"give one such as {example}"
    if url != url.strip() or not url.isprintable() or " " in url:
        raise ValueError(f"contains a space or a control character; {remedy}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"is not a URL (invalid host or port); {remedy}") from None
    if "://" not in url or parts.scheme not in schemes:
        raise ValueError(
            f"is not a URL that starts with {' or '.join(f'{name}://' for name in schemes)}; {remedy}"
        )
    if port == 0 or not parts.hostname:
        raise ValueError(f"has no host or an invalid port; {remedy}")
    if not page and "@" in parts.path + parts.query + parts.fragment:
        raise ValueError("has no usable host; write special characters of the password as %XX")


def validate_certificate(path: Path) -> None:
    """Raise ValueError with the remedy unless the file contains a certificate in PEM format."""
    import ssl  # takes longer to load than this module, and is rarely needed

    # Path.exists raises in a folder that cannot be entered; os.path does not.
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113
        # A pipe can be read only once, and each source reads the file itself.
        raise ValueError("is not a regular file; give a PEM file")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise ValueError("contains no certificate; give a PEM file (-----BEGIN CERTIFICATE-----)") from None
    except OSError as error:
        raise ValueError(
            f"cannot be read ({error.strerror}); give a PEM file that this user can read"
        ) from None


USER_AGENT = f"sp500tui/{__version__} (+https://github.com/sp500tui/sp500tui)"
"""A name and a contact, as Wikimedia's user agent policy requires."""


def parse_age(text: str) -> timedelta:
    """The length of a validated age such as `90d`."""
    return timedelta(days=int(text[:-1]))
