"""`sp500tui config show|path|init`: the effective settings and their origins, and the configuration file."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

from sp500tui.cli.context import configuration_of
from sp500tui.config.keys import KEYS
from sp500tui.config.loader import Configuration, Precedence, config_file
from sp500tui.config.messages import field_types
from sp500tui.config.options import OPTIONS, Option
from sp500tui.config.paths import Paths, default_log_folder, ensure_folder
from sp500tui.config.settings import Settings
from sp500tui.errors import ConfigurationError, ExitCode, resource_remedy
from sp500tui.logs.redaction import plain, redact_url
from sp500tui.logs.standard_streams import write_output


def run(namespace: Namespace) -> int:
    """Run the action."""
    if namespace.action == "show":
        configuration = configuration_of(namespace)
        write_output("\n".join(map(plain, effective_settings(configuration))) + "\n")
        return ExitCode.OK
    file = config_file(getattr(namespace, "config", None))
    if namespace.action == "init":
        write_template(file)
    write_output(f"{file}\n")
    return ExitCode.OK


def effective_settings(configuration: Configuration) -> Iterator[str]:
    """The settings as TOML, one per line, each with its origin in a comment."""
    yield f"# configuration file: {_file_text(configuration.file)}"
    yield f"# data folder: {_folder_text(lambda: Paths.of(configuration.settings).data)}"
    yield f"# log folder: {_folder_text(default_log_folder)}"
    yield from (f"# {warning}" for warning in configuration.warnings)
    for option in OPTIONS:
        value = _own_value(configuration.settings, option)
        origin = configuration.origins[option.field]
        if option.is_address and value is not None:
            value = redact_url(str(value))
        line = f"# {option.key} is not set" if value is None else f"{option.key} = {toml_value(value)}"
        yield f"{line:<50} # {'default' if origin.precedence is Precedence.DEFAULT else origin.name}"


def _own_value(settings: Settings, option: Option) -> object:
    """The value of a setting; None for the symbols of a `symbols_file`, which are not those of `symbols`."""
    if option.field == "symbols" and settings.symbols_file is not None:
        return None
    return getattr(settings, option.field)


def _file_text(file: Path | None) -> str:
    if file is None:
        return "none (the home directory is unknown)"
    # Path.exists raises below a folder that cannot be read.
    return f"{file}{'' if os.path.exists(file) else ' (does not exist)'}"  # noqa: PTH110


def _folder_text(folder: Callable[[], Path]) -> str:
    try:
        return str(folder())
    except ConfigurationError as error:
        return f"none ({error})"


def toml_value(value: object) -> str:
    """The value in TOML syntax, without passwords."""
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{json.dumps(name)} = {toml_value(each)}" for name, each in value.items()) + "}"
        )
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(each) for each in value) + "]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(plain(str(value)), ensure_ascii=False)


def write_template(file: Path) -> None:
    """Write a configuration file with every setting commented out.

    Raises:
        ConfigurationError: it exists already, or cannot be written.
    """
    ensure_folder(file.parent, "configuration folder", "name another file with --config FILE")
    try:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(
            f"{file} exists already; edit it, or name another with --config FILE"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be written: {error.strerror}; name another with --config FILE"
        ) from None
    try:
        with open(opened, "w", encoding="utf-8") as writer:  # noqa: PTH123 - from a descriptor made with the right mode
            writer.write("\n".join(template_lines()) + "\n")
    except OSError as error:
        file.unlink(missing_ok=True)
        raise ConfigurationError(
            f"{file} cannot be written: {error.strerror}; {resource_remedy(error) or 'name another with --config FILE'}"
        ) from None


def template_lines() -> Iterator[str]:
    """The lines of a configuration file with every setting commented out, at its default."""
    yield "# sp500tui. Precedence: command line, SP500TUI_<NAME> in the environment, this file, default."
    for group, options in groupby(OPTIONS, key=lambda option: option.group):
        yield f"\n# --- {group} ---"
        for option in options:
            yield f"# {option.help}"
            yield f"# {option.key} = {_example(option)}"
    yield "\n# --- Keys: one or several by id, separated by commas; the table must be the last in this file ---"
    yield "# [keymap]"
    yield from (f'# "{key.id}" = {toml_value(key.keys):<28} # {key.explanation}' for key in KEYS)


def _example(option: Option) -> str:
    default = Settings.model_fields[option.field].get_default(call_default_factory=True, validated_data={})
    if default is not None:
        return toml_value(default)
    return option.metavar if field_types(option.field) & {int, float} else f'"{option.metavar}"'
