"""Validation of the settings of a cluster node."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from sp500tui.cluster.broker.errors import redis_package
from sp500tui.config.settings import Settings, parse_stages
from sp500tui.errors import ConfigurationError
from sp500tui.input_file import read_input
from sp500tui.logs.redaction import redact_url
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.runtime.wiring import stage_sizes

_MAX_PASSWORD = 4096
"""Bytes of the password file that are read."""


def node_stage_sizes(settings: Settings) -> dict[StageName, int]:
    """The stages of this node and their worker counts; all stages when the settings name none."""
    defaults = stage_sizes(settings)
    if settings.stages is None:
        return defaults
    return {
        StageName(name): defaults[StageName(name)] if number is None else number
        for name, number in parse_stages(settings.stages).items()
    }


def uses_database(settings: Settings, sizes: Mapping[StageName, int]) -> bool:
    """Whether this node uses the database: to write, or for its front end."""
    return StageName.WRITER in sizes or StageName.HISTORY in sizes or not settings.no_ui


def validate_node(settings: Settings, sizes: Mapping[StageName, int]) -> str:
    """Return the broker's URL of a valid node configuration.

    Raises:
        ConfigurationError: there is no broker, no package for it, or no database that all nodes can reach.
    """
    if settings.broker is None:
        raise ConfigurationError("a node of a cluster needs its broker: add --broker redis://host:6379/0")
    if settings.database is None and uses_database(settings, sizes) and not _is_loopback(settings.broker):
        address = redact_url(settings.broker)
        raise ConfigurationError(
            f"the broker {address} is on another machine, so all nodes need a common database that they can reach: "
            "add --database postgresql://user@host:5432/database"
        )
    redis_package()
    return settings.broker


def read_password(file: Path | None) -> str | None:
    """The first line of the password file; None without a file.

    A file keeps the password out of process lists and the shell history.

    Raises:
        ConfigurationError: the file cannot be read, or its first line is empty.
    """
    if file is None:
        return None
    remedy = "name a file with the password on its first line (--broker-password-file FILE)"
    try:
        line = (
            read_input(file, _MAX_PASSWORD, first_line=True).partition(b"\n")[0].decode("utf-8").rstrip("\r")
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigurationError(
            f"the broker's password file {file} cannot be read: {reason}; {remedy}"
        ) from None
    if not line:
        raise ConfigurationError(f"the broker's password file {file} is empty; {remedy}")
    return line


def _is_loopback(url: str) -> bool:
    """Whether the URL names this machine's loopback address."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
