"""Separate machines on one: each program has its own network namespace, which can be disconnected. For root."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import threading
from contextlib import suppress

_PIECE = 65_536
_POLL_INTERVAL = 0.1
ENTER = "import os, sys; os.execvp('ip', ['ip', 'netns', 'exec', sys.argv[1], sys.executable, *sys.argv[2:]])"
"""For `python -c`: execute the rest of the command line in the namespace named first."""


class NotAllowedError(Exception):
    """Network namespaces cannot be created on this machine or by this user."""


def _ip(*words: str) -> None:
    try:
        subprocess.run(["ip", *words], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotAllowedError(f"ip {' '.join(words)} failed") from error


class Network:
    """A bridge with an address of the host, to which namespaces are connected."""

    def __init__(self) -> None:
        """Create the bridge.

        Raises:
            NotAllowedError: Network namespaces cannot be created.
        """
        number = os.getpid() % 250
        self._spool_or_wait = f"spbr{os.getpid()}"
        self._names: list[str] = []
        self._subnet = f"10.213.{number}"
        self.address = f"{self._subnet}.1"
        """The host's address in every namespace."""
        if os.geteuid() != 0 or shutil.which("ip") is None:
            raise NotAllowedError("network namespaces need root and the program ip")
        try:
            _ip("link", "add", self._spool_or_wait, "type", "bridge")
            _ip("addr", "add", f"{self.address}/24", "dev", self._spool_or_wait)
            _ip("link", "set", self._spool_or_wait, "up")
        except NotAllowedError:
            self.close()
            raise

    def add(self) -> str:
        """Create a namespace connected to the host; returns its name."""
        number = len(self._names) + 1
        name, cable = f"sp{os.getpid()}n{number}", self._cable(number)
        _ip("netns", "add", name)
        self._names.append(name)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", cable, "master", self._spool_or_wait, "up")
        inside = ("-n", name)
        _ip(*inside, "addr", "add", f"{self._subnet}.{number + 9}/24", "dev", "eth0")
        _ip(*inside, "link", "set", "eth0", "up")
        _ip(*inside, "link", "set", "lo", "up")
        return name

    def _cable(self, number: int) -> str:
        return f"sp{os.getpid()}c{number}"

    def cut(self, name: str) -> None:
        """Disconnect a namespace: no packet passes, and no connection is reset."""
        _ip("link", "set", self._cable(self._names.index(name) + 1), "down")

    def restore(self, name: str) -> None:
        """Reconnect a namespace."""
        _ip("link", "set", self._cable(self._names.index(name) + 1), "up")

    def close(self) -> None:
        """Remove everything; programs inside must have ended."""
        for name in self._names:
            with suppress(NotAllowedError):
                _ip("netns", "del", name)
        with suppress(NotAllowedError):
            _ip("link", "del", self._spool_or_wait)


class Relay:
    """Forwards connections from another address of this machine to a port of 127.0.0.1."""

    def __init__(self, address: str, target: int) -> None:
        self._target = target
        self._leaving = threading.Event()
        self._listener = socket.create_server((address, 0))
        self.port = int(self._listener.getsockname()[1])
        self._porter = threading.Thread(target=self._accept, daemon=True)
        self._porter.start()

    def _accept(self) -> None:
        while not self._leaving.is_set():
            if select.select([self._listener], [], [], _POLL_INTERVAL)[0]:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as server:
            # A disconnected peer receives nothing more; nothing else waits for it.
            client.settimeout(60)
            other = {client: server, server: client}
            while not self._leaving.is_set():
                for source in select.select([client, server], [], [], _POLL_INTERVAL)[0]:
                    data = source.recv(_PIECE)
                    if not data:
                        return
                    other[source].sendall(data)

    def close(self) -> None:
        """Close all sockets."""
        self._leaving.set()
        self._porter.join()
        self._listener.close()


def inside(namespace: str | None, *command: str) -> tuple[str, ...]:
    """Python's arguments that run `command`, also Python arguments, in a namespace; None for outside."""
    return command if namespace is None else ("-c", ENTER, namespace, *command)
