"""The command line: the options for settings, and which of them each command accepts. Imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Sequence

from sp500tui import __version__
from sp500tui.cli.argument_parser import ArgumentParser, quotable
from sp500tui.cli.command_arguments import COMMANDS
from sp500tui.config.options import DEMO, LOGS, OPTIONS, SCREEN, SOURCES, Option
from sp500tui.config.suggestions import suggestion
from sp500tui.errors import ConfigurationError

_CONTROL_COMMANDS = ("attach", "serve", "status", "scale", "pause", "resume", "run-cycle", "stop", "trace")
"""These find a running pipeline by its data folder."""
_WITH_ALL_SETTINGS = ("config", "worker", "top")
_FETCHING_COMMANDS = ("constituents", "quote", "gaps", "backfill")
"""These send requests to the sources themselves."""
_DESCRIPTION = "\n".join(
    [
        "Runs a concurrent pipeline of S&P 500 prices from Yahoo Finance into PostgreSQL, with a dashboard.",
        "",
        "Without a command, the pipeline and the dashboard start. Commands:",
        *(f"  {name:<14}{command.help}" for name, command in COMMANDS.items()),
        "",
        "`sp500tui COMMAND --help` lists the options of a command.",
    ]
)
_EPILOG = (
    "Every option is also an environment variable SP500TUI_<NAME> and a key of the TOML configuration file.\n"
    "Precedence: command line, environment, configuration file, default.\n"
    "Try `sp500tui --demo`, or in a script `sp500tui --no-ui --demo --once --json`."
)


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
    if namespace.command not in COMMANDS:
        near = suggestion(namespace.command, COMMANDS)
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

    Those of psql begin with the first argument after `psql` that is not an option for a setting, or after `--`. None
    for another action.
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
    # argparse's sub-parsers would mistake the value of an unknown option for the command.
    words = parser.add_argument("words", nargs=argparse.PARSER, default=[], help=argparse.SUPPRESS)
    words.required = False
    return parser


def _command_parser(command: str) -> ArgumentParser:
    parser = ArgumentParser(f"sp500tui {command}", COMMANDS[command].help)
    if command == "simulate":
        from sp500tui.simulator.command import add_arguments

        add_arguments(parser)
        return parser
    options = [option for option in OPTIONS if _accepts(command, option)]
    _add_settings(parser, options, [option for option in options if _has_effect(command, option)])
    COMMANDS[command].add_arguments(parser)
    return parser


def _accepts(command: str, option: Option) -> bool:
    """Whether the command accepts the option for a setting.

    All one-shot commands accept the same ones, so that a script can pass them to each.
    """
    if command in _WITH_ALL_SETTINGS:
        return True
    if command == "replay":
        return option.group in (SCREEN, LOGS)
    if command in ("attach", "serve") and option.group == SCREEN:
        return True
    if command == "backfill" and option.field == "history_workers":
        return True
    return option.shared or (command in _CONTROL_COMMANDS and option.group == LOGS)


def _has_effect(command: str, option: Option) -> bool:
    """Whether the command uses the setting: only then its help lists the option."""
    if command in _WITH_ALL_SETTINGS or option.field == "demo":
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
