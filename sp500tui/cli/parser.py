"""The command line: options from the table of settings, commands and their arguments. Imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Sequence

from sp500tui import __version__
from sp500tui.cli.argument_parser import ArgumentParser, quotable
from sp500tui.config.options import DEMO, LOGS, OPTIONS, SCREEN, SOURCES, Option
from sp500tui.config.suggestions import suggestion
from sp500tui.errors import ConfigurationError

_COMMANDS = {
    "attach": "show the dashboard of a pipeline that runs in another process",
    "status": "print the state of a running pipeline",
    "scale": "set the number of workers of a stage of a running pipeline",
    "pause": "pause the intake of a running pipeline, or one stage",
    "resume": "resume the intake of a running pipeline, or one stage",
    "run-cycle": "start the next cycle of a running pipeline now",
    "stop": "stop a running pipeline and wait for its end",
    "serve": "show the dashboard of a running pipeline in a browser",
    "replay": "show a recording that --record has written",
    "constituents": "print the companies of the S&P 500",
    "quote": "print the latest prices of symbols; needs no database",
    "database": "work with the price database: url, psql, status, prepare",
    "gaps": "list the trading days whose bars or prices are not complete",
    "backfill": "fetch the bars that are missing",
    "export": "write quotes, bars, corporate actions or constituents as CSV, JSON lines or Parquet",
    "dead-letters": "list or replay the rows that the database rejected",
    "worker": "run stages of a cluster without a dashboard (needs --broker)",
    "top": "show the dashboard of a cluster without running stages (needs --broker)",
    "learn": "list the lessons on concurrency, or run one on a demo and print what was measured",
    "trace": "write what the workers of the running pipeline did as a trace for Perfetto",
    "simulate": "run the demo market on its own, for other programs",
    "config": "print the effective settings, or write a configuration file",
}
_CONTROL_COMMANDS = ("attach", "serve", "status", "scale", "pause", "resume", "run-cycle", "stop", "trace")
"""They address a running pipeline by its data folder."""
_FETCHING_COMMANDS = ("constituents", "quote", "gaps", "backfill")
"""They send requests to the sources themselves."""
_DESCRIPTION = "\n".join(
    [
        "Runs a concurrent pipeline of S&P 500 prices from Yahoo Finance into PostgreSQL, with a dashboard.",
        "",
        "Without a command, the pipeline and the dashboard start. Commands:",
        *(f"  {name:<14}{help_text}" for name, help_text in _COMMANDS.items()),
        "",
        "`sp500tui COMMAND --help` lists the options of a command.",
    ]
)
_EPILOG = (
    "Every option is also an environment variable SP500TUI_<NAME> and a key of the TOML configuration file.\n"
    "Precedence: command line, environment, configuration file, default.\n"
    "Try `sp500tui --demo`, or in a script `sp500tui --no-ui --demo --once --json`."
)
RESOLUTIONS = ("1m", "5m", "15m", "1h", "1d")
"""Lengths of bars that can be requested."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; the namespace contains only what was given, and `command`, None without one.

    Raises:
        ConfigurationError: an argument is unknown or malformed.
        SystemExit: after `--help` and `--version`.
    """
    parser = _main_parser()
    namespace = argparse.Namespace()
    parser.parse_strictly(arguments, namespace)
    namespace.command, *rest = namespace.words or [None]
    del namespace.words
    if namespace.command is None:
        return namespace
    if namespace.command not in _COMMANDS:
        near = suggestion(namespace.command, _COMMANDS)
        shown = quotable(namespace.command, quote="'")
        raise ConfigurationError(f"unknown command{shown}; {near or parser.hint}")
    command = _command_parser(namespace.command)
    if namespace.command == "database":
        rest, psql = _split_psql(command, rest)
        if psql is not None:
            namespace.psql = psql
    command.parse_strictly(rest, namespace)
    return namespace


def _split_psql(parser: ArgumentParser, arguments: list[str]) -> tuple[list[str], list[str] | None]:
    """Split what follows `database` into our own arguments and those passed to psql unchanged.

    Those of psql begin with the first argument after `psql` that is no option for a setting, or after `--`. None for
    another action.
    """
    action = parser.count_settings(arguments)
    if arguments[action : action + 1] != ["psql"]:
        return arguments, None
    end = action + 1 + parser.count_settings(arguments[action + 1 :])
    rest = arguments[end:]
    return arguments[:end], rest[1:] if rest[:1] == ["--"] else rest


def _main_parser() -> ArgumentParser:
    parser = ArgumentParser("sp500tui", _DESCRIPTION, usage="sp500tui [options] [COMMAND …]", epilog=_EPILOG)
    parser.add_argument(
        "--version", action="version", version=f"sp500tui {__version__}", help="show the version and exit"
    )
    _add_settings(parser, OPTIONS, OPTIONS)
    # argparse's sub-parsers would take the value of an unknown option for the command.
    words = parser.add_argument("words", nargs=argparse.PARSER, default=[], help=argparse.SUPPRESS)
    words.required = False
    return parser


def _command_parser(command: str) -> ArgumentParser:
    parser = ArgumentParser(f"sp500tui {command}", _COMMANDS[command])
    if command == "simulate":
        from sp500tui.simulator.command import add_arguments

        add_arguments(parser)
        return parser
    options = _options_of(command)
    _add_settings(parser, options, [option for option in options if _has_effect(command, option)])
    if command == "attach":
        parser.add_argument("--read-only", action="store_true", help="show the pipeline without steering it")
    elif command == "status":
        _add_json(parser)
    elif command == "scale":
        parser.add_argument("stage", metavar="STAGE", help="price, converter, writer or history")
        parser.add_argument("workers", metavar="N", help="number of workers, 1 to 64")
    elif command in ("pause", "resume"):
        parser.add_argument(
            "stage",
            metavar="STAGE",
            nargs="?",
            help="scraper, price, converter, writer or history; default: the intake",
        )
    elif command == "serve":
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
    elif command == "replay":
        parser.add_argument("file", metavar="FILE", help="recording, *.sp5")
        parser.add_argument(
            "--at",
            metavar="TIME",
            help="time of the beginning: 14:30, 2026-05-14T14:30:00Z, +90s; --at=-10m counts from the end",
        )
        parser.add_argument("--speed", metavar="X", help="seconds of the recording in a second (default: 1)")
        parser.add_argument(
            "--no-ui", dest="no_ui", action="store_true", default=argparse.SUPPRESS, help="print a summary"
        )
        _add_json(parser)
    elif command == "stop":
        parser.add_argument(
            "--now", action="store_true", help="write what is not stored to the journal instead of storing it"
        )
    elif command == "constituents":
        form = parser.add_mutually_exclusive_group()
        _add_json(form)
        form.add_argument("--csv", action="store_true", help="print comma-separated values")
        parser.add_argument(
            "--as-of",
            metavar="DATE",
            help="print the members of that day: symbol, CIK, and first and last day in the index",
        )
    elif command == "quote":
        parser.add_argument(
            "quote_symbols", metavar="SYMBOL", nargs="+", help="ticker as listed: AAPL, BRK.B"
        )
        _add_json(parser)
    elif command == "database":
        _add_action(
            parser,
            url="print the URL",
            psql="start psql; further arguments are passed to it",
            status="print size, tables and connections",
            prepare="distribute the tables with Citus or TimescaleDB",
        )
        _add_json(parser)
        parser.add_argument(
            "--dry-run", action="store_true", help="prepare: print the SQL without running it"
        )
    elif command in ("gaps", "backfill"):
        _add_window(parser)
        parser.add_argument(
            "--resolution",
            choices=(*RESOLUTIONS, "quotes") if command == "gaps" else RESOLUTIONS,
            default="1m",
            help="length of the bars (default: 1m)"
            + ("; quotes: the collected prices" if command == "gaps" else ""),
        )
        _add_json(parser)
    elif command == "export":
        _add_export(parser)
    elif command == "dead-letters":
        _add_action(
            parser, list="print the rejected rows with the reasons", replay="insert the rejected rows again"
        )
        _add_json(parser)
    elif command == "trace":
        parser.add_argument(
            "--seconds",
            metavar="N",
            default="60",
            help="length of the trace, up to now (default: 60, at most 180)",
        )
        parser.add_argument(
            "-o", "--output", metavar="FILE", required=True, help="file to write; - for standard output"
        )
    elif command == "learn":
        parser.add_argument(
            "lesson", metavar="LESSON", nargs="?", help="lesson to run; without one, list them"
        )
        parser.add_argument(
            "--no-ui",
            action="store_true",
            default=argparse.SUPPRESS,
            help="run it without asking for an answer",
        )
        _add_json(parser)
    elif command == "config":
        _add_action(
            parser,
            show="print every setting and where its value comes from",
            path="print the path of the configuration file",
            init="write a configuration file that lists every setting",
        )
    return parser


def _options_of(command: str) -> list[Option]:
    """The options for settings that a command accepts.

    All one-shot commands accept the same ones, so that a script can pass them to each.
    """
    if command in ("config", "worker", "top"):
        return list(OPTIONS)
    if command == "replay":
        return [option for option in OPTIONS if option.group in (SCREEN, LOGS)]
    if command in ("attach", "serve"):
        return [option for option in OPTIONS if option.shared or option.group in (SCREEN, LOGS)]
    return [
        option
        for option in OPTIONS
        if option.shared
        or (command == "backfill" and option.field == "history_workers")
        or (command in _CONTROL_COMMANDS and option.group == LOGS)
    ]


def _has_effect(command: str, option: Option) -> bool:
    """Whether the command uses the setting: only then its help lists the option."""
    if command in ("config", "worker", "top"):
        return True
    if option.field == "demo":
        return True
    if option.group == LOGS:
        return option.shared
    if option.group in (DEMO, SOURCES):
        return command in _FETCHING_COMMANDS or (command == "learn" and option.group == DEMO)
    if option.field == "currency":
        return command in ("quote", "learn")
    if option.field == "database":
        return command not in ("quote", *_CONTROL_COMMANDS)
    return True


def _add_export(parser: ArgumentParser) -> None:
    parser.add_argument(
        "dataset",
        metavar="TABLE",
        choices=("quotes", "bars", "actions", "constituents"),
        help="quotes, bars, actions or constituents",
    )
    _add_window(parser)
    parser.add_argument("--resolution", choices=RESOLUTIONS, help="only bars of this length (default: all)")
    parser.add_argument(
        "--format",
        choices=("csv", "jsonl", "parquet"),
        help="default: as the name of the file says, otherwise csv; parquet needs sp500tui[parquet]",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="replace this file once all rows are exported (default: standard output)",
    )


def _add_window(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="start", metavar="DATE", help="first day, or a time such as 2026-05-04T13:30Z"
    )
    parser.add_argument("--to", dest="end", metavar="DATE", help="last day, or the time before which to end")
    parser.add_argument("--symbols", dest="only_symbols", metavar="A,B", help="only these symbols, as listed")


def _add_action(parser: ArgumentParser, **actions: str) -> None:
    help_text = "; ".join(f"{name}: {text}" for name, text in actions.items())
    parser.add_argument("action", metavar="ACTION", choices=tuple(actions), help=help_text)


def _add_json(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--json", dest="json_output", action="store_true", default=argparse.SUPPRESS, help="print JSON"
    )


def _add_settings(parser: ArgumentParser, options: Iterable[Option], listed: Collection[Option]) -> None:
    """Add the options; the help lists only those that are `listed`."""
    parser.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="TOML file with settings")
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in options:
        if not option.flag:
            continue
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        help_text = option.help.replace("%", "%%") if option in listed else argparse.SUPPRESS
        _add_setting(groups[option.group], option, help_text)


def _add_setting(group: argparse._ArgumentGroup, option: Option, help_text: str) -> None:
    if option.metavar:
        group.add_argument(
            option.switch,
            dest=option.field,
            metavar=option.metavar,
            default=argparse.SUPPRESS,
            help=help_text,
        )
    else:
        group.add_argument(
            option.switch,
            dest=option.field,
            action=argparse.BooleanOptionalAction if option.negatable else "store_true",
            default=argparse.SUPPRESS,
            help=help_text,
        )
