"""The start of every run and command: logging and folders."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sp500tui.config.paths import Paths, default_log_folder, user_folder
from sp500tui.errors import ConfigurationError
from sp500tui.logs.setup import configure

if TYPE_CHECKING:
    from sp500tui.config.loader import Configuration
    from sp500tui.config.settings import Settings

NO_LOG_FILE = Path("none")
"""The value of the setting `log_file` for no log files."""
_log = logging.getLogger(__name__)


def bootstrap(
    configuration: Configuration,
    prepare: Callable[[Paths], None] = Paths.prepare,
    *,
    console: bool = True,
    console_level: str = "DEBUG",
) -> Paths:
    """Configure logging, create the folders with `prepare`, and log the warnings of the configuration.

    A default log or cache folder that cannot be used only causes a warning: the log then goes to stderr and to memory,
    and the cache to the data folder.

    Raises:
        ConfigurationError: the data folder, or a log file that was named, cannot be used. One message names
            everything that has to be set.
    """
    settings = configuration.settings
    log_error = _start_logging(settings, console=console, console_level=console_level)
    try:
        paths = Paths.of(settings)
        prepare(paths)
    except ConfigurationError as error:
        # An unknown home directory causes both errors, and that of the data folder names both remedies.
        if log_error is None or (settings.log_file is None and user_folder("log") is None):
            raise
        raise ConfigurationError(f"{error}; {log_error}") from None
    if log_error is not None:
        if settings.log_file is not None:
            raise log_error
        _log.warning("no log files are written: %s", log_error)
    for warning in (*configuration.warnings, *paths.warnings):
        _log.warning("%s", warning)
    return paths


def _start_logging(settings: Settings, *, console: bool, console_level: str) -> ConfigurationError | None:
    """Configure logging, without files if they cannot be written; returns the reason in that case."""
    level, log_format = settings.log_level, settings.log_format
    if settings.log_file == NO_LOG_FILE:
        configure(level=level, log_format=log_format, console=console, complete_console=True)
        return None
    try:
        configure(
            level=level,
            log_file=settings.log_file,
            log_format=log_format,
            console=console,
            console_level=console_level,
            folder=default_log_folder() if settings.log_file is None else None,
        )
    except ConfigurationError as error:
        configure(level=level, log_format=log_format, console=console, console_level=console_level)
        return error
    return None
