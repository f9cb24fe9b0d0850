"""Podman, if it can run a container here, and the images that the Dockerfile and the compose file start from."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
BUILD_TIME = 600.0
"""Time-out in seconds; the build takes 30 on an idle machine, mostly for the download of the dependencies."""
_RESTRICTED = """\
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[network]
network_backend = "netavark"
"""
"""containers.conf for a machine that is itself a sandbox: no systemd, hybrid control groups, lower limits."""
HARDENED = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges")


@dataclass(slots=True)
class Podman:
    """The command `podman` with the configuration that works on this machine."""

    environment: Mapping[str, str]
    _containers: list[str] = field(default_factory=list)

    def __call__(self, *arguments: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run one command until it ends, with any exit code."""
        return subprocess.run(
            ["podman", *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def has(self, image: str) -> bool:
        return self("image", "exists", image).returncode == 0

    def starts(self, name: str, *arguments: str) -> None:
        """Start a container in the background; `removes` removes it with its anonymous volumes."""
        self._containers.append(name)
        done = self("run", "--detach", f"--name={name}", *HARDENED, *arguments)
        assert done.returncode == 0, done.stderr

    def logs(self, name: str) -> str:
        done = self("logs", name)
        return done.stdout + done.stderr

    def exit_code(self, name: str) -> int:
        return int(self("inspect", "--format={{.State.ExitCode}}", name).stdout)

    def removes(self) -> None:
        while self._containers:
            self("rm", "--force", "--volumes", "--time=5", self._containers.pop())


def waits_for(condition: Callable[[], object], what: Callable[[], str], limit: float = 120.0) -> None:
    """Poll until `condition` holds; AssertionError with `what()` after `limit` seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.2)


class UnavailableError(Exception):
    """No container can be run here; the message has the reason."""


def images_of_the_dockerfile() -> list[str]:
    found = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    return sorted(set(found))


def images_of_the_compose_file() -> list[str]:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"].values()
    return sorted({service["image"] for service in services if "image" in service})


def require(podman: Podman, images: Sequence[str]) -> None:
    """Raise UnavailableError if an image is missing, because tests download none."""
    if missing := [image for image in images if not podman.has(image)]:
        raise UnavailableError(
            f"no image {', '.join(missing)} here: pull it, or run python -m tests.support.base_images "
            "to make a substitute from Debian's packages"
        )


def working_podman(folder: Path, images: Sequence[str]) -> Podman:
    """Podman as configured, or restricted to the permissions of a sandbox.

    Raises UnavailableError if neither runs a container.
    """
    if shutil.which("podman") is None:
        raise UnavailableError("podman is not installed")
    restricted = folder / "containers.conf"
    restricted.write_text(_RESTRICTED, "utf-8")
    refusal = ""
    for podman in (Podman({}), Podman({"CONTAINERS_CONF": str(restricted)})):
        require(podman, images)
        done = podman("run", "--rm", "--network=none", "--entrypoint=true", images[0])
        if done.returncode == 0:
            return podman
        refusal = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    raise UnavailableError(f"podman cannot run a container here: {refusal}")


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    try:
        return working_podman(tmp_path_factory.mktemp("podman"), images_of_the_dockerfile())
    except UnavailableError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def image(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image built from the Dockerfile, under a name of this process; its dependencies stay in Podman's cache."""
    name = f"localhost/sp500tui-test:{os.getpid()}"
    # One build at a time: those of the other test processes then find everything in the cache.
    with (tmp_path_factory.getbasetemp().parent / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = podman("build", "--network=host", f"--tag={name}", str(ROOT), timeout=BUILD_TIME)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    yield name
    podman("rmi", name)


@pytest.fixture
def containers(podman: Podman) -> Iterator[Podman]:
    yield podman
    podman.removes()


@dataclass(frozen=True, slots=True)
class Compose:
    """podman-compose with the project's compose file, and the session's image instead of builds."""

    podman: Podman
    folder: Path
    project: str

    def __call__(self, *arguments: str, timeout: float = 300.0) -> None:
        """Run one command; AssertionError when it fails."""
        files = ("-f", str(ROOT / "compose.yaml"), "-f", str(self.folder / "images.yaml"))
        done = subprocess.run(
            [sys.executable, "-m", "podman_compose", "-p", self.project, *files, *arguments],
            cwd=self.folder,
            env={**os.environ, **self.podman.environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]

    def container(self, service: str) -> str:
        return f"{self.project}_{service}_1"

    def logs(self, service: str) -> str:
        return self.podman.logs(self.container(service))

    def becomes_healthy(self, service: str) -> None:
        """Wait for its health check, run by hand: Podman's own timer needs systemd."""
        waits_for(
            lambda: self.podman("healthcheck", "run", self.container(service)).returncode == 0,
            lambda: f"{service} does not become healthy:\n{self.logs(service)}",
        )

    def rows(self) -> int:
        """Number of rows in the table `prices`."""
        done = self.podman(
            "exec",
            self.container("database"),
            "psql",
            "-U",
            "sp500tui",
            "-Atc",
            "select count(*) from prices",
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout)


@pytest.fixture
def compose(podman: Podman, image: str, tmp_path: Path) -> Iterator[Compose]:
    try:
        require(podman, images_of_the_compose_file())
    except UnavailableError as reason:
        pytest.skip(str(reason))
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    ours = {name: {"image": image} for name, service in services.items() if "build" in service}
    (tmp_path / "images.yaml").write_text(yaml.safe_dump({"services": ours}), "utf-8")
    (tmp_path / ".env").write_text(
        f"POSTGRES_PASSWORD=a-secret\nPOSTGRES_PORT={free_port()}\nBROKER_PASSWORD=Another1\n"
        f"BROKER_PORT={free_port()}\nSP500TUI_DEMO=true\nSP500TUI_INTERVAL=5\n",
        "utf-8",
    )
    project = Compose(podman, tmp_path, f"sp500tui-test-{os.getpid()}")
    yield project
    project("--profile", "cluster", "down", "--volumes", "--timeout", "10")


def report_of(text: str) -> dict[str, object]:
    """The JSON report among the lines of a container's log."""
    found: dict[str, object] = json.loads(next(line for line in text.splitlines() if line.startswith("{")))
    return found
