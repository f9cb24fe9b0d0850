"""Shared by the commands: the configuration of the command line, the log, and the data sources."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sp500tui.config.bootstrap import bootstrap
from sp500tui.config.loader import Configuration, flags_of, load
from sp500tui.config.paths import Paths

if TYPE_CHECKING:
    from sp500tui.pipeline.runtime.sources import Sources


def configuration_of(namespace: Namespace) -> Configuration:
    """The configuration of a command line.

    Raises:
        ConfigurationError: see `load`; also for a database URL that libpq cannot use.
    """
    configuration = load(flags_of(namespace), getattr(namespace, "config", None))
    for url in (configuration.settings.database, configuration.settings.read_database):
        if url is not None:
            # Loads the PostgreSQL client, which few commands need.
            from sp500tui.storage.url import check_url

            check_url(url)
    return configuration


def start(configuration: Configuration, prepare: Callable[[Paths], None] = lambda _: None) -> Paths:
    """Like `bootstrap`, with only warnings on stderr; folders are created only by `prepare`."""
    return bootstrap(configuration, prepare, console_level="WARNING")


@contextmanager
def opened_sources(configuration: Configuration) -> Iterator[Sources]:
    """Wikipedia and Yahoo Finance, or the demo market instead, for the duration of the block."""
    from sp500tui.pipeline.runtime.sources import Sources
    from sp500tui.sources.throttle import Throttle

    settings = configuration.settings
    paths = start(configuration, Paths.prepare_cache)
    sources = Sources.open(settings, paths, Throttle(settings.requests_per_second))
    try:
        yield sources
    finally:
        sources.close()
