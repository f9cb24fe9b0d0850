"""Log records: redaction, and their forms as text, as JSON and on the console."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime

from sp500tui.logs.redaction import plain, redact, without_control


def copy_record(record: logging.LogRecord) -> logging.LogRecord:
    """A shallow copy."""
    # Several times faster than copy.copy, and called for every record.
    copy = logging.LogRecord.__new__(logging.LogRecord)
    copy.__dict__.update(record.__dict__)
    return copy


def cleaned_record(record: logging.LogRecord) -> logging.LogRecord:
    """A copy whose text and traceback hold no password and no control character."""
    cleaned = copy_record(record)
    cleaned.msg, cleaned.args = plain(record.getMessage()), None
    cleaned.worker = worker_of(record)
    if record.exc_info and not record.exc_text:
        cleaned.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip()
    if cleaned.exc_text:
        lines = redact(cleaned.exc_text).splitlines()
        cleaned.exc_text = "\n".join("    " + without_control(line) for line in lines)
    cleaned.exc_info = None
    return cleaned


def worker_of(record: logging.LogRecord) -> str:
    """The name of the worker that logged the record: of its thread, or as a writer process sent it."""
    named = getattr(record, "worker", None) or record.threadName or "main"
    return "main" if named == "MainThread" else str(named)


class TextFormat(logging.Formatter):
    """`2026-11-20T15:30:00.123Z INFO price-3 sp500tui.pipeline.stages.fetcher: message`, followed by a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        line = (
            f"{_stamp(record)} {record.levelname:<7} {worker_of(record)} {record.name}: {record.getMessage()}"
        )
        return f"{line}\n{record.exc_text}" if record.exc_text else line


class JsonFormat(logging.Formatter):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        content = {
            "time": _stamp(record),
            "level": record.levelname,
            "worker": worker_of(record),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_text:
            content["exception"] = record.exc_text
        return json.dumps(content, ensure_ascii=False)


class ConsoleFormat(logging.Formatter):
    """For the terminal: local time, no traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        time = datetime.fromtimestamp(record.created).astimezone()
        return f"{time:%H:%M:%S} {record.levelname:<7} {worker_of(record)}: {record.getMessage()}"


def _stamp(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{int(record.msecs):03d}Z"
    )
