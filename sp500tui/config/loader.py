"""Loads the settings from command line, environment, TOML file and defaults, in this order of precedence."""

from __future__ import annotations

import json
import os
import re
import tomllib
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sp500tui.config.messages import display_value, error_message, type_error_message
from sp500tui.config.options import BY_FIELD, BY_KEY, ENVIRONMENT_PREFIX, OPTIONS
from sp500tui.config.paths import unknown_home, user_folder
from sp500tui.config.settings import SCREEN_DEMO, Settings, expand_user
from sp500tui.config.suggestions import suggestion
from sp500tui.config.symbols import read_symbols_file
from sp500tui.errors import ConfigurationError
from sp500tui.input_file import read_input

_MAX_FILE_SIZE = 1 << 20
_NAMES = "`sp500tui config show` lists the names"
_CONFIG_VARIABLE = ENVIRONMENT_PREFIX + "CONFIG"
_SERVICE_LINK = re.compile(
    ENVIRONMENT_PREFIX
    + r"(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?|PORT=(tcp|udp|sctp)://.*)"
)
"""Variables that Kubernetes sets in every container for a service whose name begins with that of the program."""


class Precedence(IntEnum):
    """The sources of a value, lowest precedence first."""

    DEFAULT = 0
    FILE = 1
    ENVIRONMENT = 2
    FLAG = 3


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of one value."""

    precedence: Precedence
    name: str
    """`--interval`, `SP500TUI_INTERVAL`, the file's path, or `default`."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The effective settings, and where each value comes from."""

    settings: Settings
    origins: Mapping[str, Origin]
    """By the attributes of `Settings`."""
    file: Path | None
    """The TOML file, which need not exist; None if none is named and the home directory is unknown."""
    warnings: tuple[str, ...] = ()
    """Warnings about ignored values, one line each; to be logged once logging is configured."""


@dataclass(frozen=True, slots=True)
class SourcedValue:
    """A value as it was given, not yet validated."""

    value: Any
    origin: Origin


def default_file() -> Path | None:
    """The default TOML file; None if the home directory is unknown."""
    folder = user_folder("config")
    return folder / "config.toml" if folder else None


def load(flags: Mapping[str, Any], config_file: str | None = None) -> Configuration:
    """Load the settings; `flags` holds those of the command line, by attribute of `Settings`.

    Raises:
        ConfigurationError: one line with the flag, the variable, or the file and key, the value and the remedy.
    """
    file, is_named = _file(config_file)
    content, warnings = _read(file, is_named=is_named) if file else ({}, [])
    found = _from_file(file, content) | _from_environment() | _from_flags(flags)
    warnings += _resolve_conflicts(found)
    settings = _validated(found)
    settings = _with_symbols_of_file(settings)
    _check_replica(settings, found)
    default = Origin(Precedence.DEFAULT, "default")
    origins = {name: found[name].origin if name in found else default for name in BY_FIELD}
    return Configuration(settings, origins, file, tuple(warnings))


def for_dashboard(configuration: Configuration) -> Configuration:
    """The configuration with the dashboard's defaults: those of the demo make its pipeline visible.

    Raises:
        ConfigurationError: a tour is requested of the live market.
    """
    settings = configuration.settings
    if settings.tour and not settings.demo:
        raise ConfigurationError("--tour shows faults of the demo market; add --demo, or omit --tour")
    if not settings.demo or settings.broker is not None:
        return configuration
    defaults = {
        name: value
        for name, value in SCREEN_DEMO.items()
        if configuration.origins[name].precedence is Precedence.DEFAULT
    }
    return replace(configuration, settings=settings.model_copy(update=defaults))


def flags_of(namespace: Namespace) -> dict[str, Any]:
    """The settings among the arguments of a command line, by the attributes of `Settings`."""
    return {name: value for name, value in vars(namespace).items() if name in BY_FIELD}


def config_file(named: str | None) -> Path:
    """The TOML file, which need not exist; `named` is that of the command line.

    Raises:
        ConfigurationError: none is named, and the home directory is unknown.
    """
    file, _ = _file(named)
    if file is None:
        raise unknown_home("name the configuration file with --config FILE")
    return file


def _file(named: str | None) -> tuple[Path | None, bool]:
    """The TOML file, and whether it was named by the user rather than the default."""
    name = os.environ.get(_CONFIG_VARIABLE) or None if named is None else named
    if name is None:
        return default_file(), False
    if not name.strip():
        raise ConfigurationError("--config '' is not a path; give one, or leave the option out")
    try:
        return expand_user(Path(name)), True
    except ValueError as error:
        raise ConfigurationError(f"configuration file {display_value(name)} {error}") from None


def _from_flags(flags: Mapping[str, Any]) -> dict[str, SourcedValue]:
    return {
        name: SourcedValue(value, Origin(Precedence.FLAG, _flag(name, value)))
        for name, value in flags.items()
    }


def _flag(name: str, value: object) -> str:
    option = BY_FIELD[name]
    return option.switch.replace("--", "--no-", 1) if value is False else option.switch


def _from_environment() -> dict[str, SourcedValue]:
    """The settings of the environment. Empty variables are ignored; names are not case-sensitive."""
    known = {option.variable: option.field for option in OPTIONS}
    given = {name.upper(): name for name in os.environ if name.upper().startswith(ENVIRONMENT_PREFIX)}
    given.pop(_CONFIG_VARIABLE, None)
    for name in given:
        if name not in known and not _is_service_link(name, os.environ[given[name]]):
            raise ConfigurationError(
                f"environment variable {given[name]} is unknown; {suggestion(name, known) or _NAMES}"
            )
    found = {}
    for name, as_given in given.items():
        if name in known and (text := os.environ[as_given]):
            value = _json(name, text) if known[name] == "keymap" else text
            found[known[name]] = SourcedValue(value, Origin(Precedence.ENVIRONMENT, name))
    return found


def _is_service_link(name: str, value: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(name) or _SERVICE_LINK.fullmatch(f"{name}={value}"))


def _json(variable: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigurationError(f"environment variable {variable} is not JSON; give a JSON object") from None


def _from_file(file: Path | None, content: Mapping[str, Any]) -> dict[str, SourcedValue]:
    for key, value in content.items():
        if key not in BY_KEY:
            raise ConfigurationError(
                f"{file}: unknown key {display_value(key)}; {suggestion(key, BY_KEY) or _NAMES}"
            )
        if reason := type_error_message(BY_KEY[key].field, value):
            shown = display_value(value, key=key)
            shown = f'"{shown}"' if isinstance(value, str) else shown
            raise ConfigurationError(f"{file}: {key} = {shown} {reason}")
    origin = Origin(Precedence.FILE, str(file))
    return {BY_KEY[key].field: SourcedValue(value, origin) for key, value in content.items()}


def _read(file: Path, *, is_named: bool) -> tuple[dict[str, Any], list[str]]:
    """The content of the TOML file, and a warning if the default file exists but cannot be read."""
    try:
        content = read_input(file, _MAX_FILE_SIZE + 1)
    except (FileNotFoundError, NotADirectoryError):
        if is_named:
            raise ConfigurationError(
                f"configuration file {file} does not exist; name another, or write it: sp500tui config init"
            ) from None
        return {}, []
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and not is_named:
            return {}, [f"configuration file {file} cannot be read and is ignored: {error.strerror}"]
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"configuration file {file} cannot be read: {reason}; name a file that this user can read"
        ) from None
    if len(content) > _MAX_FILE_SIZE:
        raise ConfigurationError(f"configuration file {file} is larger than 1 MB; give a TOML file")
    try:
        return tomllib.loads(content.decode("utf-8-sig")), []
    except UnicodeDecodeError:
        raise ConfigurationError(f"configuration file {file} is not UTF-8 text; give a TOML file") from None
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits is a ValueError of `int`.
        reason = (
            error
            if isinstance(error, tomllib.TOMLDecodeError)
            else "a value is too long or nested too deeply"
        )
        raise ConfigurationError(
            f"configuration file {file} is not TOML: {reason}; write lines such as interval = 30"
        ) from None


def _resolve_conflicts(found: dict[str, SourcedValue]) -> list[str]:
    """Of two mutually exclusive settings, drop the one of lower precedence; equal precedence is an error."""
    for one, other in (("once", "cycles"), ("symbols", "symbols_file")):
        if not (_is_on(found, one) and _is_on(found, other)):
            continue
        if found[one].origin.precedence == found[other].origin.precedence:
            names = f"{_location(one, found[one])} and {_location(other, found[other])}"
            raise ConfigurationError(f"{names} are mutually exclusive; give one of them")
        del found[min(one, other, key=lambda name: found[name].origin.precedence)]
    return _separate_demo(found) if _is_on(found, "demo") else []


def _location(name: str, found: SourcedValue) -> str:
    """The place of a value: `--once`, `SP500TUI_ONCE`, `once in /home/…/config.toml`."""
    origin = found.origin
    return f"{BY_FIELD[name].key} in {origin.name}" if origin.precedence is Precedence.FILE else origin.name


def _separate_demo(found: dict[str, SourcedValue]) -> list[str]:
    """Drop what the demo market replaces: proxy, certificate authority and the database of the live market."""
    warnings = []
    for name in ("proxy", "ca_file"):
        if name not in found:
            continue
        if found[name].origin.precedence >= found["demo"].origin.precedence:
            raise ConfigurationError(
                f"{_location(name, found[name])} cannot be used with the demo market, which has its own; "
                f"omit it or {_location('demo', found['demo'])}"
            )
        del found[name]
    for name in ("database", "read_database"):
        if (
            name in found
            and found[name].origin.precedence == Precedence.FILE < found["demo"].origin.precedence
        ):
            warnings.append(
                f"{_location(name, found[name])} is ignored in demo mode: simulated prices use a separate "
                "database (override with --database URL)"
            )
            del found[name]
    return warnings


def _is_on(found: Mapping[str, SourcedValue], name: str) -> bool:
    """Whether the setting is given and not false, zero or empty; a switch may be given as text."""
    if name not in found:
        return False
    value = found[name].value
    if isinstance(value, str) and name in ("once", "demo"):
        return value.strip().lower() in ("1", "true", "t", "yes", "y", "on")
    return bool(value)


def _validated(found: Mapping[str, SourcedValue]) -> Settings:
    try:
        return Settings(**{name: each.value for name, each in found.items()})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        raise ConfigurationError(_validation_error(name, found[name], error_message(name, first))) from None


def _validation_error(name: str, found: SourcedValue, reason: str) -> str:
    option, value = BY_FIELD[name], display_value(found.value, key=BY_FIELD[name].key)
    match found.origin.precedence:
        case Precedence.FLAG:
            return f"{found.origin.name} {value} {reason}"
        case Precedence.ENVIRONMENT:
            return f"{found.origin.name}={value} {reason}"
        case _:
            return f"{found.origin.name}: {option.key} = {value} {reason}"


def _check_replica(settings: Settings, found: Mapping[str, SourcedValue]) -> None:
    """Raise ConfigurationError for a read replica without its database."""
    if settings.read_database is not None and settings.database is None:
        raise ConfigurationError(
            f"{_location('read_database', found['read_database'])} requires the database that it replicates; "
            "give --database too"
        )


def _with_symbols_of_file(settings: Settings) -> Settings:
    """The settings with the symbols of `symbols_file`, if one is given."""
    if settings.symbols_file is None:
        return settings
    return settings.model_copy(update={"symbols": read_symbols_file(settings.symbols_file)})
