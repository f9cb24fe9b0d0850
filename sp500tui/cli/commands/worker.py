"""`sp500tui worker`: a node of a cluster without a dashboard, with the stages that `--stages` names."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

from sp500tui.cli.runtime_tuning import tune_gc
from sp500tui.config.loader import configuration_of
from sp500tui.errors import ConfigurationError
from sp500tui.headless.runner import run_headless


def run(namespace: Namespace) -> int:
    """Work until the end that the settings name, or until a signal."""
    tune_gc()
    configuration = configuration_of(namespace)
    settings = configuration.settings
    if settings.broker is None:
        raise ConfigurationError(
            "sp500tui worker is a node of a cluster and needs its broker: add --broker redis://host:6379/0"
        )
    return run_headless(replace(configuration, settings=settings.model_copy(update={"no_ui": True})))
