"""One logging configuration for all threads and processes.

Every record is cleaned once, at the root, and then goes to `app.log`, `errors.log`, the console and a ring
buffer that the dashboard reads. Writer processes send their records over their pipes; `reemit` passes them on.
"""

from __future__ import annotations

import errno
import itertools
import logging
import stat
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from sp500tui.errors import ConfigurationError, resource_remedy
from sp500tui.logs.formats import (
    ConsoleFormat,
    JsonFormat,
    TextFormat,
    cleaned_record,
    copy_record,
    worker_of,
)
from sp500tui.logs.redaction import plain
from sp500tui.logs.rotation import FILE_LIMIT, PrivateRotatingFileHandler

PACKAGE_LOGGER = "sp500tui"
RING_CAPACITY = 5_000
_STREAM_FOLDERS = tuple(map(Path, ("/dev", "/dev/fd", "/proc/self/fd")))


@dataclass(frozen=True, slots=True)
class LogLine:
    """One record as a screen shows it."""

    seq: int
    """Grows by one with every record of the process; 1 is the first."""
    time: datetime
    """UTC."""
    level: int
    """A level of the `logging` module."""
    worker: str
    """`price-3`, `writer-1`, `main` …"""
    message: str
    """One line, cleaned."""


class LogSource(Protocol):
    """A bounded buffer of log lines."""

    def since(self, seq: int) -> tuple[int, Sequence[LogLine], int]:
        """The newest number, the lines after `seq`, and how many of those were dropped."""


class NoLog:
    """A log without lines."""

    def since(self, seq: int) -> tuple[int, Sequence[LogLine], int]:
        """See `LogSource.since`."""
        return seq, (), 0


class RingHandler(logging.Handler):
    """Keeps the newest records in memory; older ones are dropped, and readers receive their number."""

    def __init__(self, capacity: int = RING_CAPACITY) -> None:
        super().__init__()
        self._lines: deque[LogLine] = deque(maxlen=capacity)
        self._last = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Add the record."""
        time = datetime.fromtimestamp(record.created, UTC)
        self._last += 1
        self._lines.append(
            LogLine(self._last, time, record.levelno, worker_of(record), plain(record.getMessage()))
        )

    def since(self, seq: int) -> tuple[int, tuple[LogLine, ...], int]:
        """The newest sequence number, the records after `seq`, and how many of those were dropped."""
        self.acquire()
        try:
            last = self._last
            new = max(0, last - seq)
            kept = tuple(itertools.islice(reversed(self._lines), new))[::-1]
        finally:
            self.release()
        return last, kept, new - len(kept)


class RootHandler(logging.Handler):
    """The only handler of the root logger: redacts a record and passes it to the other handlers by their level."""

    def __init__(self) -> None:
        super().__init__()
        self.sinks: tuple[logging.Handler, ...] = ()
        self.configuration: Logging | None = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Sanitize a record and pass it to every sink whose level it reaches."""
        # Without the handler's lock: the sinks have their own.
        try:
            cleaned = cleaned_record(record)
        except Exception:  # noqa: BLE001 - a record whose arguments do not fit its text must not stop a worker
            cleaned = copy_record(record)
            cleaned.exc_info = None
            cleaned.msg, cleaned.args = plain(f"unreadable log record: {record.msg!r}"), None
        for sink in self.sinks:
            if cleaned.levelno >= sink.level:
                sink.handle(cleaned)
        return True

    def warn(self, message: str) -> None:
        """Show a warning about the log itself, everywhere but in the files."""
        record = logging.LogRecord(PACKAGE_LOGGER, logging.WARNING, __file__, 0, message, None, None)
        for sink in self.sinks:
            if not isinstance(sink, PrivateRotatingFileHandler):
                sink.handle(record)


class _Console(logging.Handler):
    """Writes to the current stderr, so that a live display can capture the lines."""

    def __init__(self, level: int, *, complete: bool) -> None:
        """`complete`: whether there are no files, so that tracebacks and warnings of libraries are written here."""
        super().__init__(level)
        self._complete = complete

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stderr is None or not self._shows(record):
            return
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            self.setLevel(logging.CRITICAL + 1)  # stderr is closed

    def _shows(self, record: logging.LogRecord) -> bool:
        """Whether the record belongs here. Records for files only are printed in another form, without traceback."""
        if self._complete:
            return not getattr(record, "files_only", False) or bool(record.exc_text)
        return record.name != "py.warnings" and not getattr(record, "files_only", False)


@dataclass(frozen=True, slots=True)
class Logging:
    """The configuration in force."""

    ring: RingHandler
    app_log: Path | None
    """None if no log files are written."""
    errors_log: Path | None
    """Also None if the log is not a regular file."""
    root_handler: logging.Handler

    def close(self) -> None:
        """Remove the handlers and close the files."""
        remove(self.root_handler)


def configure(
    *,
    level: str = "INFO",
    log_file: Path | None = None,
    log_format: str = "text",
    console: bool = True,
    console_level: str = "DEBUG",
    complete_console: bool = False,
    folder: Path | None = None,
) -> Logging:
    """Set up logging for this process; `console` is off while the dashboard owns the terminal.

    Records go to `log_file`, with errors in a second file next to it unless it is a device or a pipe, or to `app.log`
    and `errors.log` in `folder`, which is created. Without either no file is written; with `complete_console` the
    console then shows the content of the files, including tracebacks.

    Raises:
        ConfigurationError: a file or the folder cannot be written; the previous configuration stays in force.
    """
    root_handler = RootHandler()
    app_log, errors_log = _paths_of_files(log_file, folder)
    formatter = JsonFormat() if log_format == "json" else TextFormat()
    ring = RingHandler()
    sinks: list[logging.Handler] = [ring]
    try:
        for path, least in ((app_log, logging.DEBUG), (errors_log, logging.WARNING)):
            if path is not None:
                sinks.append(_open(path, root_handler))
                sinks[-1].setLevel(least)
                sinks[-1].setFormatter(formatter)
    except ConfigurationError:
        for sink in sinks:
            sink.close()
        raise
    if console:
        sinks.append(_Console(logging.getLevelNamesMapping()[console_level], complete=complete_console))
        brief = log_format == "text" and not complete_console
        sinks[-1].setFormatter(ConsoleFormat() if brief else formatter)
    root_handler.sinks = tuple(sinks)
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, RootHandler)]:
        remove(old)
    root.addHandler(root_handler)
    root.setLevel(logging.INFO if level == "DEBUG" else logging.WARNING)
    logging.getLogger(PACKAGE_LOGGER).setLevel(level)
    logging.captureWarnings(capture=True)
    root_handler.configuration = Logging(ring, app_log, errors_log, root_handler)
    return root_handler.configuration


def current() -> Logging | None:
    """The current configuration; None before the first."""
    root_handlers = (handler for handler in logging.getLogger().handlers if isinstance(handler, RootHandler))
    return next((root_handler.configuration for root_handler in root_handlers), None)


def current_ring() -> LogSource:
    """The newest records of this process; empty before logging is configured."""
    configuration = current()
    return configuration.ring if configuration is not None else NoLog()


def _paths_of_files(log_file: Path | None, folder: Path | None) -> tuple[Path | None, Path | None]:
    """The log and the log of errors; the folder is created, private to its owner."""
    if log_file is not None:
        if not log_file.name:
            raise ConfigurationError(f"log file {log_file} is a folder; name a file with --log-file FILE")
        if _is_stream(log_file):
            return log_file, None
        return log_file, log_file.with_name(f"{log_file.stem}.errors{log_file.suffix}")
    if folder is None:
        return None, None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"log folder {folder} cannot be created: {reason}; name a file with --log-file FILE"
        ) from None
    return folder / "app.log", folder / "errors.log"


def _is_stream(path: Path) -> bool:
    """Whether the path names a pipe, a device or a standard stream, next to which no second file can be created."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return path.parent in _STREAM_FOLDERS or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _open(path: Path, root_handler: RootHandler) -> PrivateRotatingFileHandler:
    try:
        limit = sys.maxsize if _is_stream(path) else FILE_LIMIT
        return PrivateRotatingFileHandler(path, limit=limit, on_failure=root_handler.warn)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, OSError) and error.errno == errno.ENXIO:
            reason = "it is a pipe or a socket that no program reads"
        remedy = resource_remedy(error) or "name another with --log-file FILE"
        raise ConfigurationError(f"log file {path} cannot be opened: {reason}; {remedy}") from None


def remove(root_handler: logging.Handler) -> None:
    """Detach a RootHandler from the root logger and close its sinks."""
    logging.getLogger().removeHandler(root_handler)
    for sink in root_handler.sinks if isinstance(root_handler, RootHandler) else ():
        sink.close()
    root_handler.close()


def log_unexpected(error: BaseException, name: str) -> str:
    """Log an exception other than Sp500tuiError with its traceback; returns the message for the user.

    `name`: of the logger.
    """
    message = f"unexpected {type(error).__name__}: {error}"
    if remedy := resource_remedy(error):
        message += f"; {remedy}"
    logging.getLogger(name).critical("%s", message, exc_info=error, extra={"files_only": True})
    log = current()
    file = log and (log.errors_log or log.app_log)
    return f"{message}; {f'details in {file}' if file else 'please report it'}"


def log_uncaught() -> None:
    """Log exceptions that end a thread, with their traceback, instead of printing them over the dashboard."""

    def report(failure: threading.ExceptHookArgs) -> None:
        name = failure.thread.name if failure.thread else "a thread"
        error = failure.exc_value or failure.exc_type()
        logging.getLogger(PACKAGE_LOGGER).error(
            "%s ended by %s: %s", name, type(error).__name__, error, exc_info=error, extra={"worker": name}
        )

    threading.excepthook = report


def reemit(message: Mapping[str, str | int | float]) -> None:
    """Log a record of another process, given as plain values, with the worker and time that it carries."""
    created = float(message["created"])
    logger = logging.getLogger(str(message["name"]))
    if not logger.isEnabledFor(int(message["level"])):
        return
    logger.handle(
        logging.makeLogRecord(
            {
                "name": str(message["name"]),
                "levelno": int(message["level"]),
                "levelname": logging.getLevelName(int(message["level"])),
                "msg": str(message["message"]),
                "created": created,
                "msecs": created % 1 * 1000,
                "worker": str(message.get("worker", "")),
                "exc_text": str(message.get("exception", "")) or None,
            }
        )
    )
