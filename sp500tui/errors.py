"""The exit codes and the exceptions of the project. Imports nothing of the project."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the program's exit code says to a script."""

    OK = 0
    """Everything asked for is stored."""
    INCOMPLETE = 1
    """Finished, but some symbols are missing or dead-lettered."""
    USAGE = 2
    NO_SOURCE = 3
    """No list of constituents, or no prices to be had."""
    DATABASE = 4
    SIGINT = 130
    SIGTERM = 143


class Sp500tuiError(Exception):
    """Root of the project's errors. Its message is one line: what failed, with which input, what to do."""

    exit_code = ExitCode.INCOMPLETE


class ConfigurationError(Sp500tuiError):
    """An option, a variable, a file or a combination of them cannot be used."""

    exit_code = ExitCode.USAGE


class SourceError(Sp500tuiError):
    """Wikipedia or Yahoo Finance could not be reached, or answered what makes no sense."""

    exit_code = ExitCode.NO_SOURCE


class ThrottledError(SourceError):
    """The source asked for fewer requests, or our own circuit breaker is open."""

    def __init__(self, message: str, retry_after: float, *, by_source: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds until the next request may be tried."""
        self.by_source = by_source
        """Whether the source itself asked for it just now."""


class DatabaseError(Sp500tuiError):
    """PostgreSQL cannot be reached or used."""

    exit_code = ExitCode.DATABASE

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        """The five-character SQLSTATE where the server named one."""


class JournalError(Sp500tuiError):
    """The journal on disk cannot be written or read."""
