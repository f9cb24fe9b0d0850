"""What must be true of the settings before a program becomes a node of a cluster."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from sp500tui.config.settings import Settings, parse_stages
from sp500tui.errors import ConfigurationError
from sp500tui.logs.redaction import redact_url
from sp500tui.pipeline.core.snapshot import StageName
from sp500tui.pipeline.runtime.wiring import stage_sizes


def sizes_of(settings: Settings) -> dict[StageName, int]:
    """The stages that this node runs, with their workers; all of them where none is named."""
    usual = stage_sizes(settings)
    if settings.stages is None:
        return usual
    return {
        StageName(name): usual[StageName(name)] if number is None else number
        for name, number in parse_stages(settings.stages).items()
    }


def uses_database(settings: Settings, sizes: Mapping[StageName, int]) -> bool:
    """Whether this node reaches the database: to write, or to show what is stored."""
    return StageName.WRITER in sizes or not settings.no_ui


def check_node(settings: Settings, sizes: Mapping[StageName, int]) -> str:
    """The broker's URL of a node that may be.

    Raises:
        ConfigurationError: there is no broker, or no database that all nodes can reach.
    """
    if settings.broker is None:
        raise ConfigurationError("a node of a cluster needs its broker: add --broker redis://host:6379/0")
    if settings.database is None and uses_database(settings, sizes) and not _here(settings.broker):
        address = redact_url(settings.broker)
        raise ConfigurationError(
            f"the broker {address} is on another machine, so all nodes need one database that they reach: "
            "add --database postgresql://user@host:5432/database"
        )
    return settings.broker


def _here(url: str) -> bool:
    """Whether the URL names this machine by its loopback address."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
