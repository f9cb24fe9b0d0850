"""What the one-shot commands share: quiet logs, and the sources opened for the length of a command."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sp500tui.config.paths import Paths
from sp500tui.logs.setup import configure

if TYPE_CHECKING:
    from sp500tui.config.loader import Configuration
    from sp500tui.pipeline.runtime.sources import Sources

_log = logging.getLogger(__name__)


def log_quietly(configuration: Configuration) -> None:
    """Log everything to the log files and warnings to stderr, beginning with those of the configuration."""
    settings = configuration.settings
    configure(
        level=settings.log_level,
        log_file=settings.log_file,
        log_format=settings.log_format,
        console_level="WARNING",
    )
    for warning in configuration.warnings:
        _log.warning("%s", warning)


@contextmanager
def opened_sources(configuration: Configuration) -> Iterator[Sources]:
    """Wikipedia and Yahoo Finance, or the demo market in their place, which ends with the block."""
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
