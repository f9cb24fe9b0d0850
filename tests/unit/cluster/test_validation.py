"""The stages that a node runs, and the settings that they require."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sp500tui import input_file
from sp500tui.cluster.node.validation import node_stage_sizes, read_password, validate_node
from sp500tui.config.settings import Settings, parse_stages, validate_stages
from sp500tui.errors import ConfigurationError
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.runtime.stop_signals import StoppedBySignal, StopSignals


def settings(**given: Any) -> Settings:
    usual: dict[str, Any] = {"no_ui": True, "broker": "redis://127.0.0.1:6379/0"}
    return Settings(**(usual | given))


class TestStages:
    @pytest.mark.parametrize(
        ("text", "chosen"),
        [
            ("price=16,writer=4", {"price": 16, "writer": 4}),
            ("scraper", {"scraper": None}),
            (" price = 3 , converter ", {"price": 3, "converter": None}),
        ],
    )
    def test_are_named_with_their_workers(self, text: str, chosen: dict[str, int | None]) -> None:
        assert parse_stages(text) == chosen

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "contains no stage; give some such as"),
            ("prices=3", "the unknown stage 'prices'; the stages are scraper, price"),
            ("price,,writer", "the unknown stage ''"),
            ("price=1,price=2", "the stage price twice"),
            ("price=0", "requests 0 price workers; price has 1 to 64"),
            ("price=65", "1 to 64 workers"),
            ("price=99999999999999999999", "1 to 64 workers"),
            ("price=two", "requests two price workers"),
            ("price=", "requests no number of price workers"),
            ("price=-1", "requests -1"),
            ("scraper=2", "scraper has only one worker"),
        ],
    )
    def test_an_unknown_stage_is_refused_with_the_remedy(self, text: str, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            validate_stages(text)

    def test_without_a_number_the_settings_decide_how_many(self) -> None:
        chosen = node_stage_sizes(settings(stages="price=16,writer", writers=3))
        assert chosen == {StageName.PRICE: 16, StageName.WRITER: 3}

    def test_without_a_choice_a_node_runs_all(self) -> None:
        assert list(node_stage_sizes(settings())) == list(StageName)


class TestNode:
    def test_needs_a_broker(self) -> None:
        with pytest.raises(ConfigurationError, match="needs its broker: add --broker"):
            validate_node(settings(broker=None), {})

    def test_the_package_for_the_broker_is_required(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "redis", None)
        with pytest.raises(ConfigurationError, match=r"needs the package redis; install sp500tui\[cluster\]"):
            validate_node(settings(broker="redis://127.0.0.1"), {})

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "[::1]"])
    def test_on_one_machine_the_embedded_database_will_do(self, host: str) -> None:
        url = f"redis://{host}:6379/0"
        assert validate_node(settings(broker=url), {StageName.WRITER: 1}) == url

    @pytest.mark.parametrize("host", ["broker.example", "10.0.0.1", "localhost.example"])
    def test_many_machines_need_one_database(self, host: str) -> None:
        with pytest.raises(ConfigurationError, match=r"another machine.*--database postgresql://") as refused:
            validate_node(settings(broker=f"redis://:geheim@{host}:6379"), {StageName.WRITER: 1})
        assert "geheim" not in str(refused.value)

    def test_a_node_with_price_workers_only_needs_no_database(self) -> None:
        validate_node(settings(broker="redis://broker.example"), {StageName.PRICE: 4, StageName.SCRAPER: 1})

    def test_a_node_with_a_dashboard_needs_a_database(self) -> None:
        with pytest.raises(ConfigurationError, match="--database"):
            validate_node(settings(no_ui=False, broker="redis://broker.example"), {})


class TestPassword:
    def test_is_the_first_line_of_its_file(self, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.write_text("s3cret word \r\nsecond line\n")
        assert read_password(file) == "s3cret word "

    def test_is_read_from_a_pipe(self) -> None:
        reader, writer = os.pipe()
        try:
            os.write(writer, b"s3cret")
            os.close(writer)
            assert read_password(Path(f"/dev/fd/{reader}")) == "s3cret"
        finally:
            os.close(reader)

    def test_a_pipe_that_no_program_writes_to_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(input_file, "_PIPE_WAIT", 0.01)
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(
            ConfigurationError, match=r"nothing was written to it within 0\.01 s; name a file"
        ):
            read_password(tmp_path / "pipe")

    def test_a_signal_ends_the_wait_for_a_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with StopSignals() as signals:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
            with pytest.raises(StoppedBySignal), signals.raised():
                read_password(tmp_path / "pipe")

    def test_is_none_without_a_file(self) -> None:
        assert read_password(None) is None

    @pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
    def test_a_file_without_one_is_refused(self, tmp_path: Path, content: bytes | None) -> None:
        file = tmp_path / "password"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(ConfigurationError, match=r"password file .*; name a file with the password"):
            read_password(file)
