"""The program without a command: the pipeline with the dashboard, or headless with `--no-ui`."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from sp500tui.cli.context import configuration_of
from sp500tui.cli.runtime_tuning import tune_for_ui, tune_gc
from sp500tui.config.bootstrap import bootstrap
from sp500tui.config.loader import for_dashboard
from sp500tui.errors import ConfigurationError
from sp500tui.logs.setup import log_uncaught
from sp500tui.pipeline.runtime.stop_signals import StoppedBySignal, deferred_signals

if TYPE_CHECKING:
    from sp500tui.cluster.node.node import ClusterNode
    from sp500tui.config.loader import Configuration
    from sp500tui.config.paths import Paths
    from sp500tui.config.settings import Settings
    from sp500tui.headless.endpoint import Endpoint
    from sp500tui.pipeline.runtime.pipeline import Pipeline

    Build = Callable[[Settings, Paths], Pipeline | ClusterNode]


def run(namespace: Namespace) -> int:
    """Run the pipeline, alone or as a node of a cluster, until it has finished or is stopped."""
    tune_gc()
    configuration = configuration_of(namespace)
    settings = configuration.settings
    if settings.stages is not None and settings.broker is None:
        raise ConfigurationError(
            "--stages selects the stages of a cluster node; add --broker URL, or omit it"
        )
    if not settings.no_ui:
        return show_dashboard(configuration)
    if settings.tour:
        raise ConfigurationError("--tour is for the dashboard; omit it, or --no-ui")
    return run_without_dashboard(configuration)


def run_without_dashboard(configuration: Configuration) -> int:
    """Run the pipeline headless; a run that a signal ends before it begins is reported too."""
    try:
        # Extension modules cannot be imported again after a signal has interrupted their import.
        with deferred_signals():
            from sp500tui.headless.runner import report_stopped, run_headless
    except StoppedBySignal as stopped:
        return report_stopped(configuration, stopped.number)
    return run_headless(configuration)


def show_dashboard(configuration: Configuration, *, stages: bool = True) -> int:
    """Show the dashboard until the user quits; with `stages` False, that of a cluster, as a node without stages."""
    configuration = for_dashboard(configuration)
    settings = configuration.settings
    if settings.json_output:
        raise ConfigurationError("--json is for runs without the dashboard; add --no-ui")
    build = _cluster_builder(settings, stages=stages) if settings.broker is not None else None
    require_terminal("use --no-ui" if stages else "run sp500tui worker")
    tune_for_ui()
    paths = bootstrap(configuration, console=False)
    log_uncaught()
    from sp500tui.remote.address import PipelineRunsError
    from sp500tui.remote.run_services import RunServices

    try:
        services = RunServices(paths, settings, listens=stages)
    except PipelineRunsError as running:
        from sp500tui.cli.commands.running.attach import offer_to_attach

        return offer_to_attach(configuration, running)
    from sp500tui.tui.run import run_dashboard

    with ExitStack() as stack:
        stack.enter_context(services)
        if settings.metrics is not None:
            from sp500tui.headless.endpoint import serving

            endpoint = stack.enter_context(serving(settings.metrics))
            build = _described(build or _local_pipeline, endpoint)
        return run_dashboard(settings, paths, build, services)


def _described(build: Build, endpoint: Endpoint) -> Build:
    """`build`, made to set the run that the endpoint describes."""

    def build_described(settings: Settings, paths: Paths) -> Pipeline | ClusterNode:
        endpoint.run = run = build(settings, paths)
        return run

    return build_described


def _local_pipeline(settings: Settings, paths: Paths) -> Pipeline:
    from sp500tui.pipeline.runtime.pipeline import Pipeline

    return Pipeline(settings, paths)


def _cluster_builder(settings: Settings, *, stages: bool) -> Build:
    """The builder of the cluster node. Invalid settings are reported before the dashboard takes over the terminal."""
    from sp500tui.cluster.node.validation import node_stage_sizes, validate_node

    sizes = node_stage_sizes(settings) if stages else {}
    validate_node(settings, sizes)

    def build(settings: Settings, paths: Paths) -> ClusterNode:
        from sp500tui.cluster.node.node import ClusterNode

        return ClusterNode(settings, paths, sizes)

    return build


def require_terminal(remedy: str = "use --no-ui") -> None:
    """Raise ConfigurationError with the remedy if a dashboard cannot be shown.

    A driver named by `TEXTUAL_DRIVER`, as textual-serve sets it, needs no terminal: it communicates through pipes.
    """
    if os.environ.get("TEXTUAL_DRIVER"):
        return
    for name, stream in (("stdout", sys.stdout), ("stdin", sys.stdin), ("stderr", sys.stderr)):
        if stream is None or not stream.isatty():
            raise ConfigurationError(f"the dashboard needs a terminal, but {name} is not one; {remedy}")
    if os.environ.get("TERM") == "dumb":
        raise ConfigurationError(f"the dashboard cannot be drawn on TERM=dumb; {remedy}")
