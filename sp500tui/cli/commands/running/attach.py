"""`sp500tui attach`: the dashboard of a pipeline that runs in another process."""

from __future__ import annotations

import sys
from argparse import Namespace

from sp500tui.cli.commands.run import require_terminal
from sp500tui.cli.context import configuration_of
from sp500tui.cli.runtime_tuning import tune_for_ui, tune_gc
from sp500tui.config.bootstrap import bootstrap
from sp500tui.config.loader import Configuration
from sp500tui.logs.setup import log_uncaught
from sp500tui.logs.standard_streams import write_message
from sp500tui.remote.address import PipelineRunsError


def run(namespace: Namespace) -> int:
    """Show the pipeline of the data folder until the user quits."""
    tune_gc()
    configuration = configuration_of(namespace)
    require_terminal("use sp500tui status")
    return show_viewer(configuration, steering=not namespace.read_only)


def show_viewer(configuration: Configuration, *, steering: bool = True) -> int:
    """Attach to the pipeline of the data folder; returns the exit code.

    Raises:
        NoPipelineError: none runs there.
    """
    tune_for_ui()
    paths = bootstrap(configuration, lambda _: None, console=False)
    log_uncaught()
    from sp500tui.remote.client import RemotePipeline

    settings = configuration.settings
    pipeline = RemotePipeline(paths.data, steering=steering, rate=settings.refresh_rate)
    from sp500tui.tui.viewer import run_viewer

    return run_viewer(settings, paths, pipeline)


def offer_to_attach(configuration: Configuration, running: PipelineRunsError) -> int:
    """Ask whether to attach to the pipeline that is already running.

    Raises:
        PipelineRunsError: the answer is no, or there is no terminal to ask on.
    """
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):
        raise running
    process = f" (process {running.pid})" if running.pid else ""
    write_message(f"a pipeline{process} already runs on data folder {running.data}")
    sys.stderr.write("Attach to it? [Y/n] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if answer.strip().lower() not in ("", "y", "yes") or not answer:
        raise running
    return show_viewer(configuration)
