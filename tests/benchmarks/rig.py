"""Shared by the benchmarks: a temporary PostgreSQL, fresh tables, quotes, child processes and their cost."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg

from sp500tui.model import ConvertedQuote, MarketState, Quote
from sp500tui.storage.embedded.server import EmbeddedServer
from sp500tui.storage.schema.migrations import apply_schema

if TYPE_CHECKING:
    from tests.support.postgres.server import TcpPostgres

ROOT = Path(__file__).parents[2]
OPENED = datetime(2026, 5, 14, 14, 0, tzinfo=UTC)
RATE = Decimal("6.8721")


@contextmanager
def public_folder() -> Iterator[Path]:
    """A temporary folder that the embedded server's account can enter when the benchmarks run as root."""
    folder = Path(tempfile.mkdtemp(prefix="sp500tui-bench-"))
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def scratch_server() -> Iterator[EmbeddedServer]:
    """A separate embedded server with its usual durability settings."""
    with public_folder() as folder:
        server = EmbeddedServer.start(folder / "data")
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def fresh_database(server: EmbeddedServer | TcpPostgres) -> Iterator[str]:
    """The URL of an empty database with the program's schema, after a checkpoint."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = urlsplit(server.url)._replace(path=f"/{name}").geturl()
    apply_schema(url)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    yield url
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def listed_symbols() -> list[str]:
    """The 503 symbols shipped with the program."""
    text = (files("sp500tui.sources.wikipedia") / "constituents.csv").read_text(encoding="utf-8")
    return [row["symbol"] for row in csv.DictReader(text.splitlines())]


def many_symbols(count: int) -> list[str]:
    """The listed symbols, then the demo market's invented ones."""
    listed = listed_symbols()
    return [*listed[:count], *(f"X{number:05d}" for number in range(1, count - len(listed) + 1))]


def distinct_rows(count: int, symbols: Sequence[str]) -> list[ConvertedQuote]:
    """A number of rows with different keys, in cycles over all symbols like those of the pipeline."""
    rows = []
    for number in range(count):
        cycle, place = divmod(number, len(symbols))
        price = Decimal(10_000 + (number * 7919) % 90_000).scaleb(-2)
        at = OPENED + timedelta(seconds=cycle)
        quote = Quote(
            symbol=symbols[place],
            price=price,
            change=Decimal("1.27"),
            percent_change=Decimal("0.6421"),
            currency="USD",
            quote_time=at,
            market_state=MarketState.REGULAR,
            volume=1_000_000 + number,
            fetched_at=at,
        )
        rows.append(ConvertedQuote(quote, price * RATE, "DKK", RATE, OPENED, fetched_by="price-1"))
    return rows


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Check a condition every 2 ms until it holds.

    Raises:
        TimeoutError: The condition did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.002)


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a child process."""

    seconds: float
    cpu: float
    """Seconds of processor time, including the children that it waited for."""
    output: str


def run_child(arguments: Sequence[str], env: Mapping[str, str] | None = None, timeout: float = 120) -> Cost:
    """Run Python with these arguments until it ends.

    Raises:
        RuntimeError: It ended with an error; the message has the end of its output.
    """
    before = os.times()
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=child_environment(env),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    seconds = time.perf_counter() - started
    after = os.times()
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-500:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(seconds, cpu, done.stdout)


def child_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, but with byte code written, as for an installed program."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **(more or {})}
