"""The commands: what each does, and its arguments in addition to the options for settings. Imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from sp500tui.cli.argument_parser import ArgumentParser

_RESOLUTIONS = ("1m", "5m", "15m", "1h", "1d")
"""Lengths of bars that can be requested."""


def _nothing(_parser: ArgumentParser) -> None:
    """The command has no arguments."""


def _attach(parser: ArgumentParser) -> None:
    parser.add_argument("--read-only", action="store_true", help="show the pipeline without steering it")


def _json(parser: argparse._ActionsContainer, help_text: str = "print JSON") -> None:
    parser.add_argument(
        "--json", dest="json_output", action="store_true", default=argparse.SUPPRESS, help=help_text
    )


def _scale(parser: ArgumentParser) -> None:
    parser.add_argument("stage", metavar="STAGE", help="price, converter, writer or history")
    parser.add_argument("workers", metavar="N", help="number of workers, 1 to 64")


def _pause(parser: ArgumentParser) -> None:
    parser.add_argument(
        "stage",
        metavar="STAGE",
        nargs="?",
        help="scraper, price, converter, writer or history; default: the intake",
    )


def _stop(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--now",
        action="store_true",
        help="write rows that are not stored to the journal instead of storing them",
    )


def _serve(parser: ArgumentParser) -> None:
    parser.add_argument("--port", metavar="N", help="port (default: 8573)")
    parser.add_argument(
        "--allow-steering",
        action="store_true",
        help="let the viewers steer the pipeline (default: read-only)",
    )
    parser.add_argument(
        "--public",
        action="store_true",
        help="listen on all addresses; there is no log-in (default: 127.0.0.1)",
    )


def _replay(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="recording, *.sp5")
    parser.add_argument(
        "--at",
        metavar="TIME",
        help="start time: 14:30, 2026-05-14T14:30:00Z, +90s; -10m counts from the end",
    )
    parser.add_argument("--speed", metavar="X", help="playback speed (default: 1, real time)")
    _no_ui(parser, "print a summary")
    _json(parser)


def _constituents(parser: ArgumentParser) -> None:
    form = parser.add_mutually_exclusive_group()
    _json(form)
    form.add_argument("--csv", action="store_true", help="print comma-separated values")
    parser.add_argument(
        "--as-of",
        metavar="DATE",
        help="print the members of that day: symbol, CIK, and first and last day in the index",
    )


def _quote(parser: ArgumentParser) -> None:
    parser.add_argument("quote_symbols", metavar="SYMBOL", nargs="+", help="ticker as listed: AAPL, BRK.B")
    _json(parser)


def _database(parser: ArgumentParser) -> None:
    _action(
        parser,
        url="print the URL",
        psql="start psql; further arguments are passed to it",
        status="print size, tables and connections",
        prepare="distribute the tables with Citus or TimescaleDB",
    )
    _json(parser, "status: print JSON")
    parser.add_argument("--dry-run", action="store_true", help="prepare: print the SQL without running it")


def _gaps(parser: ArgumentParser) -> None:
    _window(parser)
    parser.add_argument(
        "--resolution",
        choices=(*_RESOLUTIONS, "quotes"),
        default="1m",
        help="length of the bars (default: 1m); quotes: the collected prices",
    )
    _json(parser)


def _backfill(parser: ArgumentParser) -> None:
    _window(parser)
    parser.add_argument(
        "--resolution", choices=_RESOLUTIONS, default="1m", help="length of the bars (default: 1m)"
    )
    _json(parser)


def _export(parser: ArgumentParser) -> None:
    parser.add_argument(
        "dataset",
        metavar="TABLE",
        choices=("quotes", "bars", "actions", "constituents"),
        help="quotes, bars, actions or constituents",
    )
    _window(parser)
    parser.add_argument("--resolution", choices=_RESOLUTIONS, help="only bars of this length (default: all)")
    parser.add_argument(
        "--format",
        choices=("csv", "jsonl", "parquet"),
        help="default: by the name of the file, otherwise csv; parquet needs sp500tui[parquet]",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="replace this file once all rows are exported (default: standard output)",
    )


def _dead_letters(parser: ArgumentParser) -> None:
    _action(parser, list="print the rejected rows with the reasons", replay="insert the rejected rows again")
    _json(parser)


def _trace(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--seconds",
        metavar="N",
        default="60",
        help="length of the trace, up to now (default: 60, at most 180)",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="file to write; - for standard output"
    )


def _learn(parser: ArgumentParser) -> None:
    parser.add_argument("lesson", metavar="LESSON", nargs="?", help="lesson to run; without one, list them")
    _no_ui(parser, "run it without asking for an answer")
    _json(parser)


def _config(parser: ArgumentParser) -> None:
    _action(
        parser,
        show="print every setting and where its value comes from",
        path="print the path of the configuration file",
        init="write a configuration file that lists every setting",
    )


def _window(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="start", metavar="DATE", help="first day, or a time such as 2026-05-04T13:30Z"
    )
    parser.add_argument("--to", dest="end", metavar="DATE", help="last day, or the time before which to end")
    parser.add_argument("--symbols", dest="only_symbols", metavar="A,B", help="only these symbols, as listed")


def _action(parser: ArgumentParser, **actions: str) -> None:
    help_text = "; ".join(f"{name}: {text}" for name, text in actions.items())
    parser.add_argument("action", metavar="ACTION", choices=tuple(actions), help=help_text)


def _no_ui(parser: ArgumentParser, help_text: str) -> None:
    parser.add_argument("--no-ui", action="store_true", default=argparse.SUPPRESS, help=help_text)


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    help: str
    add_arguments: Callable[[ArgumentParser], None] = _nothing
    """Adds its own arguments to its parser."""


COMMANDS = {
    "attach": Command("show the dashboard of a pipeline that runs in another process", _attach),
    "status": Command("print the state of a running pipeline", _json),
    "scale": Command("set the number of workers of a stage of a running pipeline", _scale),
    "pause": Command("pause the intake of a running pipeline, or one stage", _pause),
    "resume": Command("resume the intake of a running pipeline, or one stage", _pause),
    "run-cycle": Command("start the next cycle of a running pipeline now"),
    "stop": Command("stop a running pipeline and wait for its end", _stop),
    "serve": Command("show the dashboard of a running pipeline in a browser", _serve),
    "replay": Command("show a recording written by --record", _replay),
    "constituents": Command("print the companies of the S&P 500", _constituents),
    "quote": Command("print the latest prices of symbols; needs no database", _quote),
    "database": Command("work with the price database: url, psql, status, prepare", _database),
    "gaps": Command("list the trading days whose bars or prices are not complete", _gaps),
    "backfill": Command("fetch the bars that are missing", _backfill),
    "export": Command(
        "write quotes, bars, corporate actions or constituents as CSV, JSON lines or Parquet", _export
    ),
    "dead-letters": Command("list or replay the rows that the database rejected", _dead_letters),
    "worker": Command("run stages of a cluster without a dashboard (needs --broker)"),
    "top": Command("show the dashboard of a cluster without running stages (needs --broker)"),
    "learn": Command(
        "list the lessons on concurrency, or run one on a demo and print what was measured", _learn
    ),
    "trace": Command("write what the workers of the running pipeline did as a trace for Perfetto", _trace),
    "simulate": Command("run the demo market on its own, for other programs"),
    "config": Command("print the effective settings, or write a configuration file", _config),
}
"""In the order of the help."""
