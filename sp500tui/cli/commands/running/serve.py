"""`sp500tui serve`: the dashboard of a running pipeline in a browser."""

from __future__ import annotations

import asyncio
import logging
import os
from argparse import Namespace

from sp500tui.cli.context import configuration_of, start
from sp500tui.config.child_processes import python_command, python_environment
from sp500tui.config.loader import Configuration, default_file
from sp500tui.config.whole_numbers import whole_number
from sp500tui.errors import ConfigurationError
from sp500tui.logs.redaction import shown_value
from sp500tui.logs.standard_streams import write_message
from sp500tui.pipeline.runtime.stop_signals import signal_code
from sp500tui.remote.session import Session

DEFAULT_PORT = 8573


def run(namespace: Namespace) -> int:
    """Serve viewers of the data folder's pipeline until a signal arrives."""
    port = _port(namespace.port)
    configuration = configuration_of(namespace)
    try:
        from sp500tui.remote.browser.server import ViewerServer
    except ImportError:
        raise ConfigurationError(
            "sp500tui serve needs the package textual-serve: pip install 'sp500tui[web]'"
        ) from None
    paths = start(configuration)
    with Session(paths.data):
        pass  # a pipeline of this version is running
    logging.getLogger("textual-serve").setLevel(logging.ERROR)
    command = viewer_command(configuration, steering=namespace.allow_steering)
    os.environ |= python_environment()  # textual-serve passes it to the viewers
    server = ViewerServer(command, port, public=namespace.public)
    if namespace.public:
        steer = " and steer" if namespace.allow_steering else ""
        write_message(
            f"--public: everyone who can reach this machine can see{steer} the pipeline; there is no log-in"
        )
    return signal_code(asyncio.run(server.run(lambda url: write_message(f"serving {url}"))))


def viewer_command(configuration: Configuration, *, steering: bool) -> list[str]:
    """The command line of a viewer of the same pipeline with the same settings."""
    settings = configuration.settings
    command = python_command("sp500tui", "attach", "--demo" if settings.demo else "--no-demo")
    if settings.data_dir is not None:
        command.append(f"--data-dir={settings.data_dir.absolute()}")
    file = configuration.file
    if file is not None and file != default_file():
        command.append(f"--config={file.absolute()}")
    if settings.theme is not None:
        command.append(f"--theme={settings.theme}")
    command.append(f"--refresh-rate={settings.refresh_rate}")
    return command if steering else [*command, "--read-only"]


def _port(text: str | None) -> int:
    if text is None:
        return DEFAULT_PORT
    if (port := whole_number(text, 0, 65_535)) is None:
        raise ConfigurationError(
            f"--port '{shown_value(text)}' is not a port; give a number from 1 to 65535, or 0 for any"
        )
    return port
