"""Free TCP ports for the servers of the tests."""

from __future__ import annotations

import random
import socket
from contextlib import suppress


def free_port() -> int:
    """Return a free port of 127.0.0.1 below the system's range for outgoing connections.

    While a server with a port of that range is restarted, an outgoing connection may take its port, even one that
    tries to reach the server and so becomes connected to itself.
    """
    while True:
        port = random.SystemRandom().randrange(12_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
