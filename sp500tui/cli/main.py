"""The entry point: parses the command line, runs the command and turns every failure into one line and an exit code.

Modules are imported where they are used: `--version` and `--help` answer without loading anything heavy, and nothing of
the standard library, `__future__` included, is imported while the current directory, which could shadow it, may be on
the import path. The interpreter itself has loaded `os` and `sys` before.
"""

import os
import sys

from sp500tui import __version__

TYPE_CHECKING = False  # type checkers assume True; `typing` takes time to load
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

    from sp500tui.errors import ExitCode

_COMMANDS = {
    None: "sp500tui.cli.commands.run:run",
    "constituents": "sp500tui.cli.commands.data.constituents:run",
    "quote": "sp500tui.cli.commands.data.quote:run",
    "database": "sp500tui.cli.commands.data.database:run",
    "gaps": "sp500tui.cli.commands.data.gaps:run",
    "backfill": "sp500tui.cli.commands.data.backfill:run",
    "export": "sp500tui.cli.commands.data.export:run",
    "dead-letters": "sp500tui.cli.commands.data.dead_letters:run",
    "worker": "sp500tui.cli.commands.cluster:run_worker",
    "top": "sp500tui.cli.commands.cluster:run_top",
    "attach": "sp500tui.cli.commands.running.attach:run",
    "status": "sp500tui.cli.commands.running.control:run",
    "scale": "sp500tui.cli.commands.running.control:run",
    "pause": "sp500tui.cli.commands.running.control:run",
    "resume": "sp500tui.cli.commands.running.control:run",
    "run-cycle": "sp500tui.cli.commands.running.control:run",
    "stop": "sp500tui.cli.commands.running.control:run",
    "learn": "sp500tui.cli.commands.learn:run",
    "serve": "sp500tui.cli.commands.running.serve:run",
    "replay": "sp500tui.cli.commands.replay:run",
    "trace": "sp500tui.cli.commands.running.trace:run",
    "simulate": "sp500tui.simulator.command:run",
    "config": "sp500tui.cli.commands.config:run",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the program with these arguments, or those of the command line, and return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given == ["--version"] and _print_version():
        return 0
    try:
        forget_current_folder()
        from sp500tui.logs.standard_streams import prepare

        prepare()
        return _run(given, exiting=arguments is None)
    except KeyboardInterrupt:
        return 130


def _print_version() -> bool:
    """Print the version; False if it cannot be written, which is then reported as for every other command."""
    if sys.stdout is None:
        return False
    try:
        sys.stdout.write(f"sp500tui {__version__}\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True


def forget_current_folder() -> None:
    """Remove the current directory from this process's import path where only Python's defaults put it there.

    `python -m` puts it first; so does an empty element of PYTHONPATH, as in `PYTHONPATH=$UNSET:/opt/lib`. A PYTHONPATH
    that names it is the user's choice, and so is an editable installation, which comes after the standard library.
    """
    try:
        here = os.getcwd()  # noqa: PTH109 - pathlib is not loaded yet
    except OSError:
        here = ""
    named = set(os.environ.get("PYTHONPATH", "").split(os.pathsep))
    implicit = {""} if here in named else {"", here}
    library = os.path.dirname(os.__file__)  # noqa: PTH120
    end = sys.path.index(library) if library in sys.path else len(sys.path)
    sys.path[:end] = [folder for folder in sys.path[:end] if folder not in implicit]


def _run(arguments: "Sequence[str]", *, exiting: bool) -> int:
    """Run the program and return its exit code; every failure is one line on stderr.

    `exiting`: whether the process exits with this code.
    """
    from sp500tui.cli.parser import parse
    from sp500tui.errors import ExitCode, Sp500tuiError
    from sp500tui.logs.standard_streams import BrokenPipeOutputError
    from sp500tui.pipeline.runtime.stop_signals import (
        StoppedBySignal,
        raised_signals,
        reset_inherited_signals,
        signal_code,
    )

    try:
        with raised_signals(exiting=exiting):
            if exiting:
                reset_inherited_signals()
            return _dispatch(parse(arguments))
    except StoppedBySignal as stopped:
        return signal_code(stopped.number)
    except BrokenPipeOutputError:
        return ExitCode.OK
    except Sp500tuiError as error:
        return _print_error(str(error), error.exit_code)
    except KeyboardInterrupt:
        return ExitCode.SIGINT
    except Exception as error:  # noqa: BLE001 - a user never sees a traceback
        return _print_error(_unexpected_error_message(error), ExitCode.INCOMPLETE)


def _dispatch(namespace: "Namespace") -> int:
    from importlib import import_module

    module, _, function = _COMMANDS[namespace.command].partition(":")
    run: Callable[[Namespace], int] = getattr(import_module(module), function)
    return run(namespace)


def _print_error(message: str, code: "ExitCode") -> int:
    from sp500tui.logs.redaction import plain
    from sp500tui.logs.standard_streams import write_message

    write_message(plain(message))
    return code


def _unexpected_error_message(error: Exception) -> str:
    """The line for an exception other than Sp500tuiError; its traceback goes to the log."""
    from contextlib import suppress

    from sp500tui.config.paths import default_log_folder
    from sp500tui.errors import ConfigurationError
    from sp500tui.logs.setup import configure, current, log_unexpected

    if current() is None:
        with suppress(ConfigurationError):
            configure(folder=default_log_folder(), console=False)
    return log_unexpected(error, __name__)
