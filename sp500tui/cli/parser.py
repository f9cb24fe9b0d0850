"""What may stand on the command line: the parser, made from the table of options. Imports nothing heavy."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import NoReturn

from sp500tui import __version__
from sp500tui.config.options import BY_FIELD, OPTIONS, Option
from sp500tui.config.suggestions import suggestion
from sp500tui.errors import ConfigurationError
from sp500tui.logs.redaction import MASK
from sp500tui.logs.standard_streams import write_output

_DESCRIPTION = "Watch and steer a concurrent pipeline of S&P 500 prices from Yahoo Finance into PostgreSQL."
_EPILOG = (
    "Every option is also an environment variable SP500TUI_<NAME> and a key of the TOML file; "
    "flags win over the environment, it over the file. "
    "Try `sp500tui --demo`, or in a script `sp500tui --no-ui --demo --once --json`."
)
_COMMANDS = {
    "constituents": "print the companies of the index",
    "quote": "print the newest prices of some symbols, without a database",
    "database": "url, psql, status, prepare: reach the database of the prices",
    "dead-letters": "list, replay: the rows that the database refused",
    "worker": "run stages of a cluster on this machine: sp500tui worker --stages price=16 --broker URL",
    "top": "the dashboard of a cluster, without stages of its own: sp500tui top --broker URL",
    "simulate": "run the demo market alone, for other programs",
    "config": "show, path, init: the settings in force and where they come from",
}


_HELP = "`sp500tui --help` lists the commands and options"
_WORD = re.compile(r"[\w-]+")
_ADDRESS_LIKE = re.compile(r"\S*[:@]\S.*")


class _Parser(argparse.ArgumentParser):
    """Raises ConfigurationError, one line, where argparse prints its usage and leaves."""

    def _print_message(self, message: str, file: object = None) -> None:  # noqa: ARG002 - argparse's signature
        write_output(message)

    def error(self, message: str) -> NoReturn:
        # It quotes arguments, and an address that stands in the wrong place may have a password in it.
        shown = _ADDRESS_LIKE.sub(MASK, message)
        raise ConfigurationError(f"{shown}; {_HELP}")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace that holds only what was given.

    Raises ConfigurationError for what cannot be understood; leaves by SystemExit after `--help` and `--version`.
    """
    own, for_psql = split_psql(arguments)
    command = _command_of(own)
    _refuse_unknown(own, command)
    namespace = _parser(command).parse_args(own)
    if for_psql is not None:
        namespace.psql = for_psql
    return namespace


def flags_of(namespace: argparse.Namespace) -> dict[str, object]:
    """The settings among what was given, by the attributes of `Settings`."""
    return {name: value for name, value in vars(namespace).items() if name in BY_FIELD}


def split_psql(arguments: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """Part the command line at `database psql`: our own options, and what psql gets untouched.

    The second part begins after psql's first argument that is no option of ours, or after `--`; it is None for
    another command.
    """
    arguments = list(arguments)
    words: list[str] = []
    index = 0
    while index < len(arguments):
        argument = arguments[index]
        width = _width(argument)
        if words == ["database", "psql"] and width == 0:
            rest = arguments[index + 1 :] if argument == "--" else arguments[index:]
            return arguments[:index], rest
        if not argument.startswith("-"):
            words.append(argument)
        index += max(width, 1)
    return arguments, [] if words == ["database", "psql"] else None


def _width(argument: str) -> int:
    """How many arguments the option takes up, itself included; 0 where it is none of ours."""
    name, has_value, _ = argument.partition("=")
    if name == "--config":
        return 1 if has_value else 2
    for option in OPTIONS:
        if option.flag and name in (option.switch, "--no-" + option.key):
            return 1 if has_value or not option.metavar else 2
    return 0


def _command_of(arguments: Sequence[str]) -> str:
    """The first word that is neither an option nor its value; empty when there is none."""
    index = 0
    while index < len(arguments):
        if not arguments[index].startswith("-"):
            return arguments[index]
        index += max(_width(arguments[index]), 1)
    return ""


def _parser(command: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="sp500tui",
        usage="sp500tui [options] [COMMAND …]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="help", help="show this and end")
    parser.add_argument(
        "--version", action="version", version=f"sp500tui {__version__}", help="show the version"
    )
    _add_options(parser, OPTIONS)
    commands = parser.add_subparsers(
        title="commands for scripts", prog="sp500tui", metavar="COMMAND", dest="command", parser_class=_Parser
    )
    for name, words in _COMMANDS.items():
        chosen = commands.add_parser(name, help=words, description=words, allow_abbrev=False)
        if name == command:
            _complete(chosen, name)
    return parser


def _complete(parser: argparse.ArgumentParser, command: str) -> None:
    """Add what the command of this run takes; the others are only named in the help."""
    if command == "simulate":
        from sp500tui.simulator.command import add_arguments

        add_arguments(parser)
        return
    takes_all = command in ("config", "worker", "top")
    _add_options(parser, OPTIONS if takes_all else [option for option in OPTIONS if option.shared])
    if command == "constituents":
        form = parser.add_mutually_exclusive_group()
        _add_json(form)
        form.add_argument("--csv", action="store_true", default=False, help="comma-separated values")
    elif command == "quote":
        parser.add_argument("quote_symbols", metavar="SYMBOL", nargs="+", help="as listed: AAPL, BRK.B")
        _add_json(parser)
    elif command == "database":
        parser.add_argument("action", choices=("url", "psql", "status", "prepare"), help="what to do")
        _add_json(parser)
        parser.add_argument(
            "--dry-run", action="store_true", help="of prepare: only say what would be done, with the SQL"
        )
    elif command == "dead-letters":
        parser.add_argument("action", choices=("list", "replay"), help="what to do")
        _add_json(parser)
    elif command == "config":
        parser.add_argument("action", choices=("show", "path", "init"), help="what to do")


def _add_json(parser: argparse._ActionsContainer) -> None:
    words = "machine-readable output"
    parser.add_argument(
        "--json", dest="json_output", action="store_true", default=argparse.SUPPRESS, help=words
    )


def _add_options(parser: argparse.ArgumentParser, options: Sequence[Option]) -> None:
    parser.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="TOML file with settings")
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in options:
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        _add_option(groups[option.group], option)


def _add_option(group: argparse._ArgumentGroup, option: Option) -> None:
    if not option.flag:
        return
    words = option.help.replace("%", "%%")
    if option.metavar:
        group.add_argument(
            option.switch, dest=option.field, metavar=option.metavar, default=argparse.SUPPRESS, help=words
        )
    else:
        group.add_argument(
            option.switch,
            dest=option.field,
            action=argparse.BooleanOptionalAction if option.negatable else "store_true",
            default=argparse.SUPPRESS,
            help=words,
        )


def _refuse_unknown(arguments: Sequence[str], command: str) -> None:
    """Raise ConfigurationError for the first option or command that nobody knows, naming the nearest."""
    known = [option.switch for option in OPTIONS if option.flag] + [
        "--config",
        "--version",
        "--help",
        "--csv",
        "--dry-run",
    ]
    index = 0
    while index < len(arguments) and command != "simulate":
        width = _width(arguments[index])
        name = arguments[index].partition("=")[0]
        if not width and name.startswith("-") and name not in (*known, "-h"):
            shown = f" {name}" if _WORD.fullmatch(name) else ""
            raise ConfigurationError(f"unknown option{shown}; {suggestion(name, known) or _HELP}")
        index += max(width, 1)
    if command and command not in _COMMANDS:
        shown = f" {command!r}" if _WORD.fullmatch(command) else ""
        raise ConfigurationError(f"unknown command{shown}; {suggestion(command, _COMMANDS) or _HELP}")
