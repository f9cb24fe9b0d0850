"""The program: reads the command line, finds the settings and hands over to a face or a one-shot command.

`--help` answers without loading anything heavy; the other imports are made when they are needed.
"""

from __future__ import annotations

import logging
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from sp500tui.cli.parser import parse
from sp500tui.cli.runtime_tuning import tune_for_ui, tune_gc
from sp500tui.errors import ConfigurationError, ExitCode, Sp500tuiError
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import OutputError, write_message
from sp500tui.pipeline.runtime.stop_signals import StoppedBySignal, raised_signals, signal_code

if TYPE_CHECKING:
    from sp500tui.config.loader import Configuration
    from sp500tui.config.paths import Paths
    from sp500tui.config.settings import Settings
    from sp500tui.pipeline.api import PipelineControl

_ONE_SHOTS = {
    "constituents": "sp500tui.cli.commands.constituents",
    "quote": "sp500tui.cli.commands.quote",
    "database": "sp500tui.cli.commands.database",
    "dead-letters": "sp500tui.cli.commands.dead_letters",
    "config": "sp500tui.cli.commands.config",
    "worker": "sp500tui.cli.commands.worker",
    "top": "sp500tui.cli.commands.top",
}


def run(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code; every failure is one line on stderr."""
    try:
        with raised_signals():
            return _dispatch(parse(arguments))
    except StoppedBySignal as stopped:
        return signal_code(stopped.number)
    except Sp500tuiError as error:
        return _print_error(str(error), error.exit_code)
    except KeyboardInterrupt:
        return ExitCode.SIGINT
    except Exception as error:  # noqa: BLE001 - the last line of defence: a user never sees a traceback
        return _print_error(_unexpected_error_message(error), ExitCode.INCOMPLETE)


def _dispatch(namespace: Namespace) -> int:
    if namespace.command == "simulate":
        from sp500tui.simulator.command import run as simulate

        return simulate(namespace)
    if namespace.command is not None:
        one_shot: Callable[[Namespace], int] = import_module(_ONE_SHOTS[namespace.command]).run
        return one_shot(namespace)
    tune_gc()
    from sp500tui.config.loader import configuration_of

    configuration = configuration_of(namespace)
    if configuration.settings.stages is not None and configuration.settings.broker is None:
        raise ConfigurationError("--stages is for a node of a cluster; add --broker URL, or leave it out")
    return _headless(configuration) if configuration.settings.no_ui else dashboard(configuration)


def _headless(configuration: Configuration) -> int:
    from sp500tui.headless.runner import run_headless

    return run_headless(configuration)


def dashboard(configuration: Configuration, *, stages: bool = True) -> int:
    """Show the dashboard until the person leaves; with `stages` False one that only looks at a cluster."""
    settings = configuration.settings
    if settings.json_output:
        raise ConfigurationError("--json is for runs without the dashboard; add --no-ui")
    build = _builder(settings, stages=stages)
    refuse_without_terminal()
    tune_for_ui()
    from sp500tui.config.paths import Paths
    from sp500tui.logs.setup import configure, log_uncaught

    paths = Paths.of(settings)
    paths.prepare()
    configure(
        level=settings.log_level, log_file=settings.log_file, log_format=settings.log_format, console=False
    )
    log_uncaught()
    for warning in configuration.warnings:
        logging.getLogger(__name__).warning("%s", warning)
    from sp500tui.tui.app import run_dashboard

    return run_dashboard(settings, paths, build)


def _builder(settings: Settings, *, stages: bool) -> Callable[[Settings, Paths], PipelineControl] | None:
    """What makes the pipeline of a cluster's node, refused here and not on the screen; None where it runs alone."""
    if settings.broker is None:
        return None
    from sp500tui.cluster.node.validation import check_node, sizes_of

    sizes = sizes_of(settings) if stages else {}
    check_node(settings, sizes)

    def build(settings: Settings, paths: Paths) -> PipelineControl:
        from sp500tui.cluster.node.node import ClusterNode

        return ClusterNode(settings, paths, sizes)

    return build


def refuse_without_terminal() -> None:
    """Raise ConfigurationError where a dashboard cannot be shown.

    A driver named by `TEXTUAL_DRIVER`, as textual-serve does, needs no terminal: it talks through pipes.
    """
    if os.environ.get("TEXTUAL_DRIVER"):
        return
    for name, stream in (("stdout", sys.stdout), ("stdin", sys.stdin), ("stderr", sys.stderr)):
        if stream is None or not stream.isatty():
            raise ConfigurationError(f"the dashboard needs a terminal, and {name} is none; use --no-ui")
    if os.environ.get("TERM") == "dumb":
        raise ConfigurationError("the dashboard cannot be drawn on TERM=dumb; use --no-ui")


def _print_error(message: str, code: ExitCode) -> int:
    # Without a usable stderr the exit code alone has to do.
    with suppress(OutputError):
        write_message(plain(message))
    return code


def _unexpected_error_message(error: Exception) -> str:
    """The line for an exception that nobody thought of; its traceback goes to the log."""
    from sp500tui.logs.setup import configure, current

    words = f"unforeseen {type(error).__name__}: {error}"
    try:
        log = current() or configure(console=False)
    except ConfigurationError:
        return f"{words}; please report it"
    logging.getLogger(__name__).critical("%s", words, exc_info=error, extra={"files_only": True})
    return f"{words}; details in {log.errors_log}"
