"""The exit codes and the exceptions of the project. Imports nothing of the project."""

from __future__ import annotations

import errno
from enum import IntEnum, StrEnum


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

    def __init__(
        self, message: str, retry_after: float, *, by_source: bool = False, by_limit: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds until the next request may be sent."""
        self.by_source = by_source
        """Whether the source sent this, rather than the circuit breaker."""
        self.by_limit = by_limit
        """Whether the request limit alone is the reason: the circuit is closed."""


class Refusal(StrEnum):
    """Why the source has no chart for a request; sending the same request again would not help."""

    UNKNOWN_SYMBOL = "unknown symbol"
    """The source does not know the symbol, or no longer does."""
    NO_DATA = "no data"
    """The symbol was not traded in the window, as before its first day."""
    WINDOW = "window"
    """The window is in the future, too old for its resolution or too long for one request."""
    UNUSABLE = "unusable answer"
    """The answer is for another symbol or resolution, or contradicts itself."""


class ChartRefusedError(SourceError):
    """The source works, but has no chart for this request."""

    def __init__(self, message: str, refusal: Refusal, description: str = "") -> None:
        super().__init__(message)
        self.refusal = refusal
        self.description = description
        """The source's own message; empty if no request was sent."""


class DatabaseError(Sp500tuiError):
    """PostgreSQL cannot be reached or used."""

    exit_code = ExitCode.DATABASE

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        """The five-character SQLSTATE; None if the server sent none."""


class JournalError(Sp500tuiError):
    """The journal on disk cannot be written or read."""


_RESOURCE_REMEDIES = {
    errno.EMFILE: "raise the number of files that a process may open, such as by ulimit -n 4096",
    errno.ENFILE: "close other programs: the system cannot open more files",
    errno.EFBIG: "raise the size that a file may have, such as by ulimit -f unlimited",
    errno.ENOSPC: "free disk space",
    errno.EDQUOT: "free disk space: the quota is used up",
    errno.ENOMEM: "free memory, or raise its limit, such as by ulimit -v unlimited",
    errno.EAGAIN: "use fewer workers, or raise the number of processes, such as by ulimit -u 4096",
}


def resource_remedy(error: BaseException) -> str:
    """The remedy for an error of the system that means an exhausted resource; empty for every other error."""
    if isinstance(error, OSError):
        return _RESOURCE_REMEDIES.get(error.errno or 0, "")
    if isinstance(error, MemoryError):
        return _RESOURCE_REMEDIES[errno.ENOMEM]
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return _RESOURCE_REMEDIES[errno.EAGAIN]
    return ""
