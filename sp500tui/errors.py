"""The exit codes and the exceptions of the project. Imports nothing of the project."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of the program."""

    OK = 0
    """Everything requested is stored."""
    INCOMPLETE = 1
    """Finished, but some symbols are missing or dead-lettered."""
    USAGE = 2
    """Invalid usage or configuration."""
    NO_SOURCE = 3
    """No list of constituents, or no prices, could be fetched."""
    DATABASE = 4
    """The database cannot be used."""
    SIGINT = 130
    SIGTERM = 143


class Sp500tuiError(Exception):
    """Base class of the project's errors. The message is one line: what failed, with which input, and the remedy."""

    exit_code = ExitCode.INCOMPLETE


class ConfigurationError(Sp500tuiError):
    """An option, an environment variable, a file or a combination of them is invalid."""

    exit_code = ExitCode.USAGE


class SourceError(Sp500tuiError):
    """Wikipedia or Yahoo Finance cannot be reached, or sent an unusable response."""

    exit_code = ExitCode.NO_SOURCE


class ThrottledError(SourceError):
    """The source is throttling requests, or the circuit breaker is open."""

    def __init__(self, message: str, retry_after: float, *, by_source: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds until the next request may be sent."""
        self.by_source = by_source
        """Whether the source sent this, rather than the circuit breaker."""


class DatabaseError(Sp500tuiError):
    """PostgreSQL cannot be reached or used."""

    exit_code = ExitCode.DATABASE

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        """The five-character SQLSTATE; None where the server sent none."""


class JournalError(Sp500tuiError):
    """The journal on disk cannot be written or read."""
