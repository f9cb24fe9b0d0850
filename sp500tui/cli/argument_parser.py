"""An argument parser whose errors are one line with the input and the remedy. Imports nothing heavy."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from sp500tui.config.options import BY_FIELD
from sp500tui.config.suggestions import suggestion
from sp500tui.errors import ConfigurationError
from sp500tui.logs.redaction import MASK
from sp500tui.logs.standard_streams import write_output

_SIGNED = re.compile(r"-(?:[.\d]|(?:inf|infinity|nan)$)", re.IGNORECASE)
"""Prefixes of values that argparse would mistake for options, such as `-10m`; no option begins like that."""
_WORD = re.compile(r"[\w-]{1,60}")
_ADDRESS_LIKE = re.compile(r"\S*[:@]\S.*")
_ARGUMENT = re.compile(r"argument (?P<name>[^:]+): (?P<reason>.*)", re.DOTALL)
_CHOICE = re.compile(r"invalid choice: (['\"])(?P<value>.*)\1 \(", re.DOTALL)
_NUMBER = re.compile(r"invalid (?P<kind>int|float) value: (['\"])(?P<value>.*)\2", re.DOTALL)
_EXCLUSIVE = re.compile(r"not allowed with argument (?P<other>\S+)")
_MISSING = re.compile(r"the following arguments are required: (?P<names>.*)")
_LONGEST_VALUE = 40
"""Characters of a value that are shown."""
_NUMBERS = {"int": "a whole number", "float": "a number"}


class ArgumentParser(argparse.ArgumentParser):
    """Reports errors as ConfigurationError, one line, instead of printing the usage and exiting."""

    def __init__(
        self, prog: str, description: str, *, usage: str | None = None, epilog: str | None = None
    ) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=False,
        )
        self._negative_number_matcher = _SIGNED
        self.add_argument("-h", "--help", action="help", help="show this help and exit")

    def _print_message(self, message: str, file: object = None) -> None:  # noqa: ARG002 - argparse's signature
        write_output(message)

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> object:
        # In `--option=--`, older versions of Python treat the value as the end of the options.
        if action.option_strings and action.nargs is None and arg_strings == ["--"]:
            value: object = self._get_value(action, "--")
            self._check_value(action, value)
            return value
        return super()._get_values(action, arg_strings)

    def error(self, message: str) -> NoReturn:
        """Raise ConfigurationError for an argparse error, worded like the other messages."""
        raise ConfigurationError(self._explained(message))

    @property
    def hint(self) -> str:
        """The command that lists the valid arguments."""
        return f"`{self.prog} --help` lists the commands and options"

    def parse_strictly(self, arguments: Sequence[str], namespace: argparse.Namespace) -> None:
        """Parse all arguments into the namespace; raises ConfigurationError for an unknown one."""
        _, unknown = self.parse_known_args(arguments, namespace)
        if unknown:
            name = unknown[0].partition("=")[0]
            kind = "option" if name.startswith("-") else "argument"
            near = suggestion(name, self._option_string_actions) if kind == "option" else ""
            raise ConfigurationError(f"unknown {kind}{quotable(name)}; {near or self.hint}")

    def count_settings(self, arguments: Sequence[str]) -> int:
        """The number of leading arguments that are options for settings and their values."""
        count = 0
        while count < len(arguments):
            name, has_value, _ = arguments[count].partition("=")
            action = self._option_string_actions.get(name)
            if action is None or (action.dest not in BY_FIELD and action.dest != "config"):
                break
            count += 1 if has_value or action.nargs == 0 else 2
        return min(count, len(arguments))

    def _explained(self, message: str) -> str:
        if missing := _MISSING.fullmatch(message):
            return self._missing(missing["names"].split(", "))
        found = _ARGUMENT.fullmatch(message)
        if found is not None and (action := self._action(found["name"])) is not None:
            for pattern, explain in _EXPLANATIONS.items():
                if reason := pattern.match(found["reason"]):
                    return explain(action, reason)
        # The message quotes arguments, and a URL in the wrong place may contain a password.
        return f"{_ADDRESS_LIKE.sub(MASK, message)}; {self.hint}"

    def _action(self, name: str) -> argparse.Action | None:
        """The action that argparse names `-o/--output` or, without options, by its placeholder."""
        for action in self._actions:
            if name == ("/".join(action.option_strings) or action.metavar):
                return action
        return None

    def _missing(self, names: Sequence[str]) -> str:
        actions = [action for name in names if (action := self._action(name)) is not None]
        verb = "is" if len(names) == 1 else "are"
        if len(actions) == 1 and actions[0].choices:
            remedy = f"give {listed(actions[0].choices)}"
        else:
            required = " ".join(_usage(action) for action in self._actions if action.required)
            remedy = f"write `{self.prog} {required}`"
        return f"{' and '.join(_name(action) for action in actions)} {verb} missing; {remedy}"


def quotable(argument: str, quote: str = "") -> str:
    """The argument after a space, or nothing if it could contain a password."""
    return f" {quote}{argument}{quote}" if _WORD.fullmatch(argument) else ""


def listed(names: Iterable[str]) -> str:
    """`csv, jsonl or parquet`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _name(action: argparse.Action) -> str:
    """`--output` of `-o` and `--output`; the placeholder of an argument without options."""
    long = (option for option in action.option_strings if option.startswith("--"))
    return next(long, None) or str(action.metavar)


def _usage(action: argparse.Action) -> str:
    name = _name(action)
    return f"{name} {action.metavar}" if action.option_strings and action.nargs != 0 else name


def _shown(value: str) -> str:
    """The value, cut if it is long, or `***` if it could be an address with a password."""
    if ":" in value or "@" in value:
        return MASK
    return (value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "…") or "''"


def _explain_choice(action: argparse.Action, reason: re.Match[str]) -> str:
    names = list(action.choices or ())
    remedy = suggestion(reason["value"], names) or f"give {listed(names)}"
    if action.option_strings:
        return f"{_name(action)} {_shown(reason['value'])} is invalid; {remedy}"
    return f"unknown {_name(action).lower()}{quotable(reason['value'], quote=chr(39))}; {remedy}"


def _explain_number(action: argparse.Action, reason: re.Match[str]) -> str:
    return f"{_name(action)} {_shown(reason['value'])} is invalid; give {_NUMBERS[reason['kind']]}"


def _explain_absent_value(action: argparse.Action, _: re.Match[str]) -> str:
    return f"{_name(action)} requires a value; write {_usage(action)}"


def _explain_excess_value(action: argparse.Action, _: re.Match[str]) -> str:
    return f"{_name(action)} takes no value; write {' or '.join(action.option_strings)}"


def _explain_exclusive(action: argparse.Action, reason: re.Match[str]) -> str:
    return f"{reason['other']} and {_name(action)} are mutually exclusive; give one of them"


_EXPLANATIONS: dict[re.Pattern[str], Callable[[argparse.Action, re.Match[str]], str]] = {
    _CHOICE: _explain_choice,
    _NUMBER: _explain_number,
    _EXCLUSIVE: _explain_exclusive,
    re.compile("expected one argument"): _explain_absent_value,
    re.compile("ignored explicit argument"): _explain_excess_value,
}
"""Keyed by the beginning of argparse's reason."""
