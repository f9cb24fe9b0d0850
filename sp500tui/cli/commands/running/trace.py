"""`sp500tui trace`: writes what the workers of the running pipeline did, as a trace that Perfetto opens."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from typing import Any

from sp500tui.cli.context import configuration_of, start
from sp500tui.cli.output import output_path
from sp500tui.config.paths import Paths
from sp500tui.errors import ConfigurationError, ExitCode
from sp500tui.logs.redaction import shown_value
from sp500tui.logs.standard_streams import write_json, write_message
from sp500tui.output_file import output_file
from sp500tui.pipeline.core.timing.spans import SpanReport
from sp500tui.pipeline.trace import MAX_SECONDS, chrome_trace, write_trace
from sp500tui.remote import commands
from sp500tui.remote.session import Session
from sp500tui.remote.wire import Position, Update


def run(namespace: Namespace) -> int:
    """Write the trace; its size goes to stderr."""
    seconds = _seconds(namespace.seconds)
    path = output_path(namespace.output)
    paths = start(configuration_of(namespace))
    if path is None:
        write_json(json.dumps(_trace(paths, seconds)) + "\n")
        return ExitCode.OK
    with output_file(path) as file:
        trace = _trace(paths, seconds)
        size = write_trace(trace, file)
    write_message(f"{len(trace['traceEvents']):,} events, {size:,} bytes: open {path} at ui.perfetto.dev")
    if trace["otherData"]["incomplete"]:
        names = ", ".join(trace["otherData"]["incomplete"])
        write_message(f"older spans are no longer kept for {names}; use fewer --seconds")
    return ExitCode.OK


def _trace(paths: Paths, seconds: float) -> dict[str, Any]:
    """The trace of the running pipeline."""
    with Session(paths.data) as session:
        # Requested first, so that the samples and events reach as far as the spans.
        report = session.call(commands.ReadSpans(seconds), SpanReport)
        update = session.call(commands.Poll(Position()), Update)
    return chrome_trace(report, seconds, update.seconds, update.events)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MAX_SECONDS:
        raise ConfigurationError(
            f"--seconds '{shown_value(text)}': use a number above 0, up to {MAX_SECONDS:g}"
        )
    return seconds
