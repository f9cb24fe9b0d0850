"""What the commands share: the configuration of the command line, the log, and the data sources."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sp500tui.config.loader import Configuration, flags_of, load
from sp500tui.config.paths import Paths
from sp500tui.logs.setup import configure

if TYPE_CHECKING:
    from sp500tui.pipeline.runtime.sources import Sources

_log = logging.getLogger(__name__)


def configuration_of(namespace: Namespace) -> Configuration:
    """The configuration for a command line.

    Raises:
        ConfigurationError: as `load`, or libpq could not use a database URL.
    """
    configuration = load(flags_of(namespace), getattr(namespace, "config", None))
    for url in (configuration.settings.database, configuration.settings.read_database):
        if url is not None:
            # Loads the PostgreSQL client, which few commands need.
            from sp500tui.storage.url import check_url

            check_url(url)
    return configuration


def log_warnings(configuration: Configuration) -> None:
    """Log what was ignored while the settings were loaded."""
    for warning in configuration.warnings:
        _log.warning("%s", warning)


def log_quietly(configuration: Configuration) -> None:
    """Log everything to the log files and only warnings to stderr."""
    settings = configuration.settings
    configure(
        level=settings.log_level,
        log_file=settings.log_file,
        log_format=settings.log_format,
        console_level="WARNING",
    )
    log_warnings(configuration)


@contextmanager
def opened_sources(configuration: Configuration) -> Iterator[Sources]:
    """Wikipedia and Yahoo Finance, or the demo market in their place, for the length of the block."""
    from sp500tui.pipeline.runtime.sources import Sources
    from sp500tui.sources.throttle import Throttle

    settings = configuration.settings
    paths = Paths.of(settings)
    paths.prepare_cache()
    sources = Sources.open(settings, paths, Throttle(settings.requests_per_second))
    try:
        yield sources
    finally:
        sources.close()
