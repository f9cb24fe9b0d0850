"""`sp500tui replay FILE`: the dashboard on a recording, or its summary with `--no-ui`."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sp500tui.cli.context import configuration_of
from sp500tui.config.bootstrap import bootstrap
from sp500tui.config.loader import Configuration
from sp500tui.config.settings import expand_user
from sp500tui.errors import ConfigurationError, ExitCode
from sp500tui.logs.redaction import plain, shown_value
from sp500tui.logs.setup import log_uncaught
from sp500tui.logs.standard_streams import write_json, write_output
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.remote.recording.playback import Playback
from sp500tui.remote.recording.reader import Recording
from sp500tui.remote.recording.replay import ReplayedPipeline

_MAX_SPEED = 1_000.0
_OFFSET = re.compile(r"([+-])(\d{1,9}(?:\.\d+)?)([smhd]?)")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_TIME_HELP = "give a time such as 14:30, 2026-05-14T14:30:00Z, +90s from the start, or -10m from the end"


def run(namespace: Namespace) -> int:
    """Show the recording, or print its summary."""
    configuration = configuration_of(namespace)
    path = _path(namespace.file)
    recording = Recording.open(path)
    playback = Playback(recording.first, recording.last, speed=_speed(namespace.speed))
    playback.seek(_time_of(namespace.at, recording))
    pipeline = ReplayedPipeline(recording, playback)
    pipeline.check(path)
    if configuration.settings.no_ui or configuration.settings.json_output:
        return _print_summary(pipeline, as_json=configuration.settings.json_output)
    return _show(configuration, pipeline)


def _path(name: str) -> Path:
    try:
        return expand_user(Path(name))
    except ValueError as error:
        raise ConfigurationError(f"{plain(name)} {error}") from None


def _show(configuration: Configuration, pipeline: ReplayedPipeline) -> int:
    from sp500tui.cli.commands.run import require_terminal
    from sp500tui.cli.runtime_tuning import tune_for_ui, tune_gc

    require_terminal()
    tune_gc()
    tune_for_ui()
    paths = bootstrap(configuration, lambda _: None, console=False)
    log_uncaught()
    from sp500tui.tui.replay_app import run_replay

    return run_replay(configuration.settings, paths, pipeline)


def _print_summary(pipeline: ReplayedPipeline, *, as_json: bool) -> int:
    summary = summary_of(pipeline)
    if as_json:
        write_json(json.dumps(summary) + "\n")
        return ExitCode.OK
    first, last = (Ledger(**summary[name]) for name in ("first", "last"))  # type: ignore[arg-type]
    lines = [
        f"from       {summary['from']}",
        f"to         {summary['to']}",
        f"snapshots  {summary['snapshots']:,}",
        f"events     {summary['events']:,}",
        f"first      {first}",
        f"last       {last}",
    ]
    write_output("".join(f"{plain(line)}\n" for line in lines))
    return ExitCode.OK


def summary_of(pipeline: ReplayedPipeline) -> dict[str, object]:
    """The recording for `--json`: its times, its contents, and the equation at its start and end."""
    recording, playback = pipeline.recording, pipeline.playback
    ledgers = []
    for at in (recording.first, recording.last):
        playback.seek(at)
        ledgers.append(asdict(pipeline.snapshot().ledger))
    return {
        "from": _text(recording.first),
        "to": _text(recording.last),
        "snapshots": recording.moments,
        "events": recording.events,
        "first": ledgers[0],
        "last": ledgers[1],
    }


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _speed(text: str | None) -> float:
    if text is None:
        return 1.0
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= _MAX_SPEED:
        raise ConfigurationError(
            f"--speed '{shown_value(text)}' is not a speed; give a number above 0, up to {_MAX_SPEED:g}, such as 10"
        )
    return speed


def _time_of(text: str | None, recording: Recording) -> float:
    """The time that `--at` names; the first moment without it."""
    if text is None:
        return recording.first
    at = _parsed_time(text.strip(), recording)
    if not recording.first - 1 <= at <= recording.last + 1:
        raise ConfigurationError(
            f"--at {text} is outside the recording, which reaches from {_text(recording.first)} "
            f"to {_text(recording.last)}"
        )
    return at


def _parsed_time(text: str, recording: Recording) -> float:
    if offset := _OFFSET.fullmatch(text):
        sign, number, unit = offset.groups()
        seconds = float(number) * _UNITS[unit]
        return recording.first + seconds if sign == "+" else recording.last - seconds
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2}(\.\d{1,6})?)?", text):
            return _time_of_day(text, recording)
        when = datetime.fromisoformat(text)
        return when.timestamp()  # without a zone: local time
    except (ValueError, OverflowError, OSError):
        raise ConfigurationError(f"--at '{shown_value(text)}' is not a time; {_TIME_HELP}") from None


def _time_of_day(text: str, recording: Recording) -> float:
    """The first local time of day within the recording."""
    pattern = "%H:%M" if text.count(":") == 1 else "%H:%M:%S.%f" if "." in text else "%H:%M:%S"
    clock = datetime.strptime(text, pattern).time()
    day = datetime.fromtimestamp(recording.first).astimezone().date()
    # By the calendar: a day on which the clocks change does not have 24 hours.
    today, tomorrow = (datetime.combine(each, clock).timestamp() for each in (day, day + timedelta(days=1)))
    return tomorrow if today < recording.first - 1 else today
