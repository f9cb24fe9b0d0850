"""The image and the compose file, built and run by Podman without the privileges that a service does not need."""

from __future__ import annotations

import os
import re
from typing import Any

import pexpect
import pyte
import pytest

from tests.support.containers import HARDENED, Compose, Podman, report_of, waits_for

pytestmark = [pytest.mark.thorough, pytest.mark.no_cover]

LARGEST = 600_000_000
"""Bytes of the image with its base: half of the 1.18 GB that it once had."""
NAMELESS = ("--user=12345:12345", "--passwd=false")
"""As Docker runs `--user 12345:12345`: no line in /etc/passwd."""
ONCE = ("--no-ui", "--demo", "--once", "--json")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name for the one container of a test."""
    return f"sp500tui-test-{os.getpid()}-{abs(hash(request.node.name)) % 10**6}"


def quotes_of(text: str) -> dict[str, Any]:
    found = report_of(text)["quotes"]
    assert isinstance(found, dict)
    return found


def test_the_image_is_small_and_runs_without_root(podman: Podman, image: str) -> None:
    size, user = podman("image", "inspect", "--format={{.Size}} {{.User}}", image).stdout.split()
    assert int(size) < LARGEST
    assert user == "10001"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="as built"),
        pytest.param(("--user=12345:12345",), id="another user"),
        pytest.param(("--env=HOME=/root",), id="a home that cannot be read"),
        pytest.param(("--tmpfs=/data:mode=1777",), id="nothing on a disk"),
    ],
)
def test_one_cycle_of_the_demo_market_is_stored(podman: Podman, image: str, options: tuple[str, ...]) -> None:
    done = podman("run", "--rm", *HARDENED, *options, image, *ONCE, timeout=300)
    assert done.returncode == 0, done.stderr
    quotes = quotes_of(done.stdout)
    assert (quotes["fetched"], quotes["stored"]) == (503, 503)


@pytest.mark.parametrize("options", [(), NAMELESS, (*NAMELESS, "--env=HOME=/root")], ids=str)
def test_the_version_needs_no_name_and_no_home(podman: Podman, image: str, options: tuple[str, ...]) -> None:
    done = podman("run", "--rm", *HARDENED, *options, image, "--version")
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "sp500tui", "")


@pytest.mark.parametrize("options", [NAMELESS, ("--user=0",)], ids=["a user id without a name", "root"])
def test_an_embedded_server_that_cannot_run_is_refused_with_the_remedy(
    podman: Podman, image: str, options: tuple[str, ...]
) -> None:
    done = podman("run", "--rm", *HARDENED, *options, image, *ONCE, timeout=300)
    assert done.returncode == 2, done.stderr
    assert "or use --database with a PostgreSQL URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stopped_container_stores_what_it_fetched(containers: Podman, image: str, name: str) -> None:
    # given a container in its second cycle, looked into from a second process
    containers.starts(name, image, "--no-ui", "--demo", "--json")
    waits_for(lambda: "cycle 2 finished" in containers.logs(name), lambda: containers.logs(name))
    status = containers("exec", name, "sp500tui", "database", "status", "--demo")
    assert status.returncode == 0, status.stderr
    assert "503" in status.stdout

    # when it is stopped with Podman's usual limit of 10 s
    containers("stop", name)

    # then it has drained: everything fetched is stored
    assert containers.exit_code(name) == 143, containers.logs(name)
    report = report_of(containers.logs(name))
    quotes = quotes_of(containers.logs(name))
    assert report["outcome"] == "interrupted"
    assert quotes["fetched"] == quotes["stored"] + quotes["duplicate"] >= 1006
    assert quotes["spooled"] == quotes["dead"] == 0

    # and finds it again when it is started again
    containers("start", name)
    waits_for(lambda: containers.logs(name).count("cycle 1 finished") == 2, lambda: containers.logs(name))
    counted = containers(
        "exec", name, "sp500tui", "database", "psql", "--demo", "--", "-Atc", "select count(*) from prices"
    )
    assert int(counted.stdout) > quotes["stored"]


def test_the_dashboard_on_a_terminal(podman: Podman, image: str) -> None:
    # given the dashboard in a container with a terminal
    child = pexpect.spawn(
        "podman",
        ["run", "--rm", "--interactive", "--tty", *HARDENED, image, "--demo"],
        dimensions=(40, 120),
        env={**os.environ, **podman.environment},
        encoding="utf-8",
        timeout=120,
    )
    screen = pyte.Screen(120, 40)
    stream = pyte.Stream(screen)

    def reads() -> bool:
        """Print the output so far; False after the end."""
        try:
            stream.feed(child.read_nonblocking(65_536, timeout=0.2))
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        return True

    def shown() -> str:
        return "\n".join(screen.display)

    try:
        # when it has stored a cycle, and is stopped
        waits_for(lambda: reads() and "503/503" in shown() and "PostgreSQL ✓" in shown(), shown)
        child.send("q")

        # then it ends by itself
        waits_for(lambda: not reads(), shown)
        child.close()
        assert child.exitstatus == 0, shown()
    finally:
        child.close(force=True)


def test_compose_runs_the_pipeline_on_its_database(compose: Compose) -> None:
    # given
    compose("up", "--detach", "database", "pipeline")
    compose.becomes_healthy("database")
    waits_for(lambda: "cycle 2 finished" in compose.logs("pipeline"), lambda: compose.logs("pipeline"))

    # when
    compose("stop", "pipeline")

    # then
    assert compose.podman.exit_code(compose.container("pipeline")) == 143
    assert "queued 0 + in flight 0 + spooled 0 + dead 0" in compose.logs("pipeline")
    assert f"holds {compose.rows():,} rows" in compose.logs("pipeline")


def test_compose_runs_a_cluster(compose: Compose) -> None:
    # given one scheduler and two workers
    compose("--profile", "cluster", "up", "--detach", "scheduler", "worker-1", "worker-2")
    for service in ("database", "broker"):
        compose.becomes_healthy(service)
    waits_for(lambda: "cycle 2 finished" in compose.logs("scheduler"), lambda: compose.logs("scheduler"))

    # when they are stopped
    nodes = ("scheduler", "worker-1", "worker-2")
    compose("--profile", "cluster", "stop", *nodes)

    # then each has left by itself, and two cycles are stored; not every symbol has a new trade in the second one
    codes = {node: compose.podman.exit_code(compose.container(node)) for node in nodes}
    assert set(codes.values()) == {143}, codes
    ended = re.search(
        r"fetched ([0-9,]+) = stored ([0-9,]+) \+ duplicate ([0-9,]+) .* dead 0;", compose.logs("scheduler")
    )
    assert ended is not None, compose.logs("scheduler")
    fetched, stored, duplicate = (int(figure.replace(",", "")) for figure in ended.groups())
    assert fetched == stored + duplicate >= 1006
    assert compose.rows() == stored
