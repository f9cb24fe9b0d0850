"""Machines on one machine: each program in a network namespace of its own, whose cable can be pulled. For root."""

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
"""For `python -c`: become the rest of the command line inside the namespace that is named first."""


class NotAllowedError(Exception):
    """Network namespaces cannot be made on this machine, or not by this user."""


def _ip(*words: str) -> None:
    try:
        subprocess.run(["ip", *words], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotAllowedError(f"ip {' '.join(words)} failed") from error


class Network:
    """A bridge with an address of the host, to which namespaces are cabled."""

    def __init__(self) -> None:
        """Lay it.

        Raises:
            NotAllowedError: not here.
        """
        number = os.getpid() % 250
        self._spool_or_wait = f"spbr{os.getpid()}"
        self._names: list[str] = []
        self._subnet = f"10.213.{number}"
        self.address = f"{self._subnet}.1"
        """Of the host, seen from every namespace."""
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
        """A new namespace with a cable to the host; its name."""
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
        """Pull a namespace's cable: nothing comes through, and no connection is reset."""
        _ip("link", "set", self._cable(self._names.index(name) + 1), "down")

    def restore(self, name: str) -> None:
        """Plug it in again."""
        _ip("link", "set", self._cable(self._names.index(name) + 1), "up")

    def close(self) -> None:
        """Take everything away; programs inside must have ended."""
        for name in self._names:
            with suppress(NotAllowedError):
                _ip("netns", "del", name)
        with suppress(NotAllowedError):
            _ip("link", "del", self._spool_or_wait)


class Relay:
    """Offers a port of 127.0.0.1 on another address of this machine."""

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
            # A peer whose cable was pulled takes nothing more; nothing else waits for it.
            client.settimeout(60)
            other = {client: server, server: client}
            while not self._leaving.is_set():
                for source in select.select([client, server], [], [], _POLL_INTERVAL)[0]:
                    data = source.recv(_PIECE)
                    if not data:
                        return
                    other[source].sendall(data)

    def close(self) -> None:
        """Let everything go."""
        self._leaving.set()
        self._porter.join()
        self._listener.close()


def inside(namespace: str | None, *command: str) -> tuple[str, ...]:
    """What Python runs so that `command`, its own arguments, runs inside a namespace; None for outside."""
    return command if namespace is None else ("-c", ENTER, namespace, *command)
