"""`sp500tui worker` and `sp500tui top`: a node of a cluster without a dashboard, and a dashboard without stages."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

from sp500tui.cli.commands.run import run_without_dashboard, show_dashboard
from sp500tui.cli.context import configuration_of
from sp500tui.cli.runtime_tuning import tune_gc
from sp500tui.config.loader import Configuration
from sp500tui.errors import ConfigurationError


def run_worker(namespace: Namespace) -> int:
    """Run the stages that `--stages` names until the end that the settings define, or until a signal."""
    configuration = _cluster_configuration(namespace)
    settings = configuration.settings.model_copy(update={"no_ui": True})
    return run_without_dashboard(replace(configuration, settings=settings))


def run_top(namespace: Namespace) -> int:
    """Show the dashboard of a cluster until the user quits."""
    configuration = _cluster_configuration(namespace)
    if configuration.settings.no_ui:
        raise ConfigurationError("sp500tui top is a dashboard; omit --no-ui, or run sp500tui worker")
    return show_dashboard(configuration, stages=False)


def _cluster_configuration(namespace: Namespace) -> Configuration:
    tune_gc()
    configuration = configuration_of(namespace)
    if configuration.settings.broker is None:
        raise ConfigurationError(
            f"sp500tui {namespace.command} needs the broker of its cluster: add --broker redis://host:6379/0"
        )
    return configuration
