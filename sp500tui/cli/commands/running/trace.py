"""`sp500tui trace`: writes what the workers of the running pipeline did, as a trace that Perfetto opens."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from pathlib import Path

from sp500tui.cli.context import configuration_of, start
from sp500tui.config.settings import expand_user
from sp500tui.errors import ConfigurationError, ExitCode
from sp500tui.logs.standard_streams import write_json, write_message
from sp500tui.pipeline.core.timing.spans import SpanReport
from sp500tui.pipeline.trace import MAX_SECONDS, chrome_trace, write_trace
from sp500tui.remote import commands
from sp500tui.remote.session import Session
from sp500tui.remote.wire import Position, Update


def run(namespace: Namespace) -> int:
    """Write the trace; its size goes to stderr."""
    seconds = _seconds(namespace.seconds)
    file = None if namespace.output == "-" else _file(namespace.output)
    paths = start(configuration_of(namespace))
    with Session(paths.data) as session:
        # Asked for first, so that the samples and events reach as far as the spans.
        report = session.call(commands.ReadSpans(seconds), SpanReport)
        update = session.call(commands.Poll(Position()), Update)
    trace = chrome_trace(report, seconds, update.seconds, update.events)
    if file is None:
        write_json(json.dumps(trace) + "\n")
        return ExitCode.OK
    size = write_trace(trace, file)
    write_message(f"{len(trace['traceEvents']):,} events, {size:,} bytes: open {file} at ui.perfetto.dev")
    if trace["otherData"]["incomplete"]:
        names = ", ".join(trace["otherData"]["incomplete"])
        write_message(f"older spans are no longer kept for {names}; use fewer --seconds")
    return ExitCode.OK


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MAX_SECONDS:
        raise ConfigurationError(f"--seconds {text[:40]!r}: use a number above 0, up to {MAX_SECONDS:g}")
    return seconds


def _file(name: str) -> Path:
    try:
        file = expand_user(Path(name))
    except ValueError as error:
        raise ConfigurationError(f"--output {error}") from None
    if file.is_dir():
        raise ConfigurationError(
            f"--output {file} is a folder; name a file in it, such as {file / 'trace.json'}"
        )
    return file
