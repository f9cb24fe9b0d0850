"""`sp500tui top`: the dashboard of a cluster on a machine that runs none of its stages."""

from __future__ import annotations

from argparse import Namespace

from sp500tui.cli.program import dashboard
from sp500tui.cli.runtime_tuning import tune_gc
from sp500tui.config.loader import configuration_of
from sp500tui.errors import ConfigurationError


def run(namespace: Namespace) -> int:
    """Look until the person leaves."""
    tune_gc()
    configuration = configuration_of(namespace)
    settings = configuration.settings
    if settings.broker is None:
        raise ConfigurationError(
            "sp500tui top shows a cluster and needs its broker: add --broker redis://host:6379/0"
        )
    if settings.no_ui:
        raise ConfigurationError("sp500tui top is a dashboard; leave --no-ui out, or run sp500tui worker")
    return dashboard(configuration, stages=False)
