"""The origin of each setting: flags, environment, file and defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sp500tui import input_file
from sp500tui.config.loader import Precedence, default_file, load
from sp500tui.config.messages import error_message
from sp500tui.config.options import BY_FIELD
from sp500tui.config.settings import Settings
from sp500tui.errors import ConfigurationError
from tests.support.certificates import a_certificate
from tests.unit.config.loading import refusal, toml

PATHS = {"broker_password_file", "data_dir", "log_file", "record"}
"""Settings whose values need not be text."""


class TestSources:
    def test_flags_win_over_environment_over_file_over_defaults(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given values at every level
        file = toml(tmp_path, "interval = 3.0\nwriters = 3\nconverters = 3\n")
        monkeypatch.setenv("SP500TUI_INTERVAL", "4")
        monkeypatch.setenv("SP500TUI_WRITERS", "4")

        # when they are loaded
        configuration = load({"interval": "5"}, file)

        # then the value with the highest precedence is used, and its origin is reported
        settings, origins = configuration.settings, configuration.origins
        assert (settings.interval, settings.writers, settings.converters, settings.batch_size) == (
            5.0,
            4,
            3,
            50,
        )
        assert (origins["interval"].precedence, origins["interval"].name) == (Precedence.FLAG, "--interval")
        assert (origins["writers"].precedence, origins["writers"].name) == (
            Precedence.ENVIRONMENT,
            "SP500TUI_WRITERS",
        )
        assert (origins["converters"].precedence, origins["converters"].name) == (Precedence.FILE, file)
        assert origins["batch_size"].precedence is Precedence.DEFAULT

    def test_the_file_can_be_named_by_a_variable(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SP500TUI_CONFIG", toml(tmp_path, "writers = 7"))

        assert load({}).settings.writers == 7

    def test_a_pipe_without_a_writer_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(input_file, "_PIPE_WAIT", 0.01)
        os.mkfifo(tmp_path / "pipe")
        assert "cannot be read: nothing was written to it within" in refusal({}, str(tmp_path / "pipe"))

    def test_an_empty_name_of_the_file_is_refused_on_the_command_line_only(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SP500TUI_CONFIG", "")
        assert load({}).file == default_file()
        with pytest.raises(ConfigurationError, match=r"^--config '' is not a path; give one"):
            load({}, "")

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            ({"cluster_name": "a b"}, "--cluster-name a b is invalid; give 1 to 40 of the letters a to z"),
            ({"fetch_group": ""}, "--fetch-group '' is invalid; give 1 to 40 of the letters a to z"),
            ({"data_dir": "a\nb"}, r"--data-dir a\nb contains a line break; give a path without one"),
            ({"interval": "0"}, "--interval 0 is invalid; give a number of seconds from 0.2 to 86,400"),
            ({"journal_limit_mb": "0"}, "--journal-limit-mb 0 is invalid; give a whole number of megabytes"),
        ],
    )
    def test_an_invalid_value_is_reported_with_what_to_give_instead(
        self, flags: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ConfigurationError) as caught:
            load(flags)
        assert str(caught.value).startswith(message)

    @pytest.mark.parametrize("name", sorted({*Settings.model_fields} - PATHS))
    def test_bytes_that_are_not_text_are_refused_with_a_remedy(self, name: str) -> None:
        assert "; " in refusal({name: "\udcff"})

    def test_every_pattern_has_its_explanation(self) -> None:
        for name, field in Settings.model_fields.items():
            if any(getattr(rule, "pattern", None) for rule in field.metadata):
                error = {"type": "string_pattern_mismatch", "msg": "", "ctx": {}}
                assert error_message(name, error).startswith("is invalid; give ")

    def test_the_default_file_is_read_where_it_exists(self) -> None:
        file = default_file()
        assert file is not None
        assert load({}).file == file
        file.parent.mkdir(parents=True)
        file.write_text("writers = 7\n")

        assert load({}).settings.writers == 7

    def test_settings_constructed_directly_ignore_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SP500TUI_WRITERS", "9")

        assert Settings().writers == 2

    def test_an_empty_variable_is_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SP500TUI_PROXY", "")

        assert load({}).settings.proxy is None

    @pytest.mark.parametrize(("flags", "interval"), [({}, 15.0), ({"demo": True}, 2.0)])
    def test_the_default_interval_depends_on_the_market(self, flags: dict[str, Any], interval: float) -> None:
        assert load(flags).settings.interval == interval

    def test_a_given_interval_applies_in_the_demo_too(self) -> None:
        assert load({"demo": True, "interval": "15"}).settings.interval == 15.0

    def test_json_has_its_short_name_everywhere(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert load({}, toml(tmp_path, "json = true")).settings.json_output
        monkeypatch.setenv("SP500TUI_JSON", "1")
        assert load({}).settings.json_output

    def test_keys_of_the_dashboard_come_as_a_table_or_as_json(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert load({}, toml(tmp_path, '[keymap]\nquit = "x"')).settings.keymap == {"quit": "x"}
        monkeypatch.setenv("SP500TUI_KEYMAP", '{"quit": "y"}')
        assert load({}).settings.keymap == {"quit": "y"}

    def test_symbols_may_be_spelled_as_yahoo_does(self, tmp_path: Path) -> None:
        symbols = ("NOVO-B.CO", "BTC-USD", "ES=F", "EURUSD=X", "^GSPC", "0700.HK")
        file = tmp_path / "symbols.txt"
        file.write_text("\n".join(symbols))
        assert load({"symbols": ",".join(symbols)}).settings.symbols == symbols
        assert load({"symbols_file": str(file)}).settings.symbols == symbols

    def test_a_home_is_expanded_in_paths(self, tmp_path: Path) -> None:
        assert load({"data_dir": "~/data"}).settings.data_dir == tmp_path / "data"


class TestConflicts:
    def test_settings_of_equal_precedence_are_mutually_exclusive(self, tmp_path: Path) -> None:
        assert "--once and --cycles are mutually exclusive" in refusal({"once": True, "cycles": "2"})
        assert "are mutually exclusive" in refusal({"symbols": "A", "symbols_file": "/x"})
        message = refusal({}, toml(tmp_path, "once = true\ncycles = 2"))
        assert "once in" in message
        assert "cycles in" in message

    def test_the_one_of_higher_precedence_wins(self, tmp_path: Path) -> None:
        # given a file that sets cycles
        file = toml(tmp_path, 'cycles = 2\nsymbols_file = "/nowhere"')

        # when the command line sets one cycle and names its symbols
        settings = load({"once": True, "symbols": "AAPL"}, file).settings

        # then the values of the file are ignored
        assert (settings.once, settings.cycles) == (True, None)
        assert (settings.symbols, settings.symbols_file) == (("AAPL",), None)

    @pytest.mark.parametrize("name", ["proxy", "ca_file"])
    def test_the_demo_has_its_own_proxy_and_certificate(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        value = "http://proxy:1" if name == "proxy" else str(a_certificate(tmp_path))
        option = BY_FIELD[name]

        # with equal precedence, it is an error
        assert option.switch in refusal({"demo": True, name: value})
        monkeypatch.setenv("SP500TUI_DEMO", "yes")
        assert option.switch in refusal({name: value})

        # but one in the configuration of a company network does not prevent a demo started by hand
        monkeypatch.setenv(option.variable, value)
        monkeypatch.delenv("SP500TUI_DEMO")
        assert getattr(load({"demo": True}).settings, name) is None
        assert getattr(load({}).settings, name) is not None

    def test_the_demo_does_not_write_to_the_database_of_the_file(self, tmp_path: Path) -> None:
        # given a configuration file with the database of the live market
        file = toml(tmp_path, 'database = "postgresql://me@host/real"')
        assert load({}, file).settings.database == "postgresql://me@host/real"

        # when the demo is chosen on the command line
        configuration = load({"demo": True}, file)

        # then it is ignored with a warning
        assert configuration.settings.database is None
        assert "is ignored in demo mode" in configuration.warnings[0]

    def test_the_demo_does_not_read_the_replica_of_the_file(self, tmp_path: Path) -> None:
        both = 'database = "postgresql://me@host/real"\nread_database = "postgresql://me@replica/real"'
        file = toml(tmp_path, both)
        assert load({}, file).settings.read_database == "postgresql://me@replica/real"
        configuration = load({"demo": True}, file)
        assert configuration.settings.read_database is None
        assert len(configuration.warnings) == 2

    def test_a_replica_needs_a_database(self) -> None:
        message = refusal({"read_database": "postgresql://me:secret@replica/x"})
        assert message.startswith("--read-database requires")
        assert "give --database too" in message

    def test_a_database_named_for_the_demo_is_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SP500TUI_DATABASE", "postgresql://me@host/demo")
        assert load({"demo": True}).settings.database == "postgresql://me@host/demo"
        assert load({"demo": True, "database": "postgres://h/x"}).settings.database == "postgres://h/x"


class TestServiceLinks:
    """Kubernetes sets these variables in every container in the namespace of a service sp500tui or sp500tui-…."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("SP500TUI_SERVICE_HOST", "10.0.0.1"),
            ("SP500TUI_SERVICE_PORT", "9464"),
            ("SP500TUI_SERVICE_PORT_METRICS", "9464"),
            ("SP500TUI_PORT", "tcp://10.0.0.1:9464"),
            ("SP500TUI_PORT_9464_TCP", "tcp://10.0.0.1:9464"),
            ("SP500TUI_PORT_9464_TCP_PROTO", "tcp"),
            ("SP500TUI_PORT_9464_UDP_ADDR", "10.0.0.1"),
            ("SP500TUI_DATABASE_SERVICE_HOST", "10.0.0.2"),
            ("SP500TUI_DATABASE_PORT", "tcp://10.0.0.2:5432"),
        ],
    )
    def test_they_are_no_settings(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        assert load({}).settings == load({}).settings.model_copy()

    @pytest.mark.parametrize(
        ("name", "value"),
        [("SP500TUI_PORT", "9464"), ("SP500TUI_SERVICE", "x"), ("SP500TUI_HOST", "10.0.0.1")],
    )
    def test_other_names_stay_unknown(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        assert f"environment variable {name} is unknown" in refusal({})
