"""Settings: where each value comes from, what is refused, and in which words."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.config.currencies import CURRENCIES, validate_currency
from sp500tui.config.loader import Precedence, default_file, load
from sp500tui.config.messages import constraint_text, display_value, error_message
from sp500tui.config.options import BY_FIELD, OPTIONS
from sp500tui.config.settings import Settings, parse_age
from sp500tui.config.symbols import parse_symbols, read_symbols_file, split_symbols
from sp500tui.errors import ConfigurationError, ExitCode
from tests.support.certificates import a_certificate
from tests.support.environment import isolate_home, ordinary_user, remove_home
from tests.support.postgres.server import public_folder


@pytest.fixture
def public_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home that every user may enter."""
    folder = public_folder()
    isolate_home(monkeypatch, folder)
    yield folder
    for each in folder.rglob("*"):
        each.chmod(0o700)
    shutil.rmtree(folder)


def toml(folder: Path, text: str) -> str:
    file = folder / "settings.toml"
    file.write_text(text)
    return str(file)


def refusal(flags: dict[str, Any], config: str | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(flags, config)
    assert caught.value.exit_code is ExitCode.USAGE
    message = str(caught.value)
    assert "\n" not in message
    return message


class TestSources:
    def test_flags_win_over_environment_over_file_over_defaults(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given a value for some at every level
        file = toml(tmp_path, "interval = 3.0\nwriters = 3\nconverters = 3\n")
        monkeypatch.setenv("SP500TUI_INTERVAL", "4")
        monkeypatch.setenv("SP500TUI_WRITERS", "4")

        # when they are loaded
        configuration = load({"interval": "5"}, file)

        # then the highest precedence wins, and the origin names it
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


class TestRefusals:
    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            ({"price_workers": "0"}, ("--price-workers 0", "1 to 64")),
            ({"price_workers": "65"}, ("--price-workers 65", "1 to 64")),
            ({"price_workers": "many"}, ("--price-workers many", "whole number")),
            ({"interval": "-1"}, ("--interval -1", "0.2 to 86,400")),
            ({"interval": "nan"}, ("--interval nan", "0.2")),
            ({"duration": "inf"}, ("--duration inf", "above 0")),
            ({"duration": "0"}, ("--duration 0", "above 0")),
            ({"market_seed": "x"}, ("--market-seed x", "whole number")),
            ({"currency": "XXX"}, ("--currency XXX", "market rate")),
            ({"currency": "XAU"}, ("--currency XAU", "market rate")),
            ({"currency": "GBp"}, ("--currency GBp", "give GBP")),
            ({"currency": "GBX"}, ("--currency GBX", "give GBP")),
            ({"currency": "DKR"}, ("--currency DKR", "did you mean DKK?")),
            ({"currency": ""}, ("--currency ''", "DKK")),
            ({"symbols": "BRK-B"}, ("--symbols BRK-B", "write BRK.B")),
            ({"symbols": "AAPL,<b>"}, ("--symbols AAPL,<b> is invalid: '<b>' is not a symbol",)),
            ({"symbols": ","}, ("--symbols", "contains no symbol")),
            ({"log_level": "loud"}, ("--log-level loud", "DEBUG")),
            ({"log_format": "xml"}, ("--log-format xml", "text")),
            ({"proxy": "proxy:3128"}, ("--proxy ***", "http://")),
            ({"proxy": "http://proxy:99999"}, ("--proxy http://proxy:99999", "port")),
            ({"proxy": "http://:80"}, ("--proxy http://***", "no host")),
            ({"proxy": "http://a b"}, ("--proxy http://***", "space")),
            ({"wikipedia_url": "ftp://x"}, ("--wikipedia-url ***", "https://")),
            ({"metrics": "9464"}, ("--metrics 9464", "127.0.0.1:9464")),
            ({"metrics": "127.0.0.1:0"}, ("--metrics 127.0.0.1:0", "1 to 65535")),
            ({"metrics": "127.0.0.1:70000"}, ("--metrics 127.0.0.1:70000", "1 to 65535")),
            ({"metrics": ":9464"}, ("--metrics :9464", "127.0.0.1:9464")),
            ({"metrics": "::1:9464"}, ("--metrics ::1:9464", "127.0.0.1:9464")),
            ({"metrics": "http://127.0.0.1:9464/"}, ("--metrics", "is not HOST:PORT")),
            ({"metrics": ""}, ("--metrics ''", "127.0.0.1:9464")),
            ({"database": "mysql://h/d"}, ("--database ***", "postgresql://")),
            ({"ca_file": "/nowhere/ca.pem"}, ("--ca-file /nowhere/ca.pem", "cannot be read")),
            ({"ca_file": "/etc/hostname"}, ("--ca-file /etc/hostname", "no certificate")),
            ({"ca_file": "/dev/zero"}, ("--ca-file /dev/zero", "no regular file; give a PEM file")),
            ({"ca_file": "/"}, ("--ca-file /", "no regular file; give a PEM file")),
            ({"data_dir": ""}, ("--data-dir ''", "not a path")),
            ({"data_dir": "~nobody-of-that-name/x"}, ("--data-dir", "in full")),
            ({"symbols_file": "/nowhere"}, ("/nowhere", "cannot be read")),
        ],
    )
    def test_a_flag_is_refused_by_name_value_and_remedy(
        self, flags: dict[str, Any], words: tuple[str, ...]
    ) -> None:
        message = refusal(flags)
        for each in words:
            assert each in message

    @pytest.mark.parametrize(
        ("variable", "value", "words"),
        [
            ("SP500TUI_INTERVAL", "-1", ("SP500TUI_INTERVAL=-1", "0.2")),
            ("SP500TUI_ONCE", "perhaps", ("SP500TUI_ONCE=perhaps", "true or false")),
            ("SP500TUI_INTERVALL", "3", ("SP500TUI_INTERVALL is unknown", "did you mean SP500TUI_INTERVAL?")),
            ("SP500TUI_BOGUS", "3", ("SP500TUI_BOGUS is unknown", "`sp500tui config show` lists the names")),
            ("SP500TUI_JSON_OUTPUT", "1", ("SP500TUI_JSON_OUTPUT is unknown",)),
            ("SP500TUI_KEYMAP", "{x", ("SP500TUI_KEYMAP", "JSON")),
            ("SP500TUI_KEYMAP", '{"quitt": "x"}', ("the id 'quitt'; did you mean quit?",)),
            ("SP500TUI_KEYMAP", '{"quit": 3}', ("SP500TUI_KEYMAP",)),
            ("SP500TUI_THEME", "nodr", ("SP500TUI_THEME=nodr is no theme; did you mean nord?",)),
            ("SP500TUI_STAGES", "price=000199", ("requests 000199 price workers",)),
        ],
    )
    def test_a_variable_is_refused_by_name(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: tuple[str, ...]
    ) -> None:
        monkeypatch.setenv(variable, value)
        message = refusal({})
        for each in words:
            assert each in message

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("price-workers = 3", ("unknown key price-workers", "did you mean price_workers?")),
            ("colour = 3", ("unknown key colour", "config show")),
            ("[pipeline]\nwriters = 3", ("unknown key pipeline",)),
            ('interval = "3"', ('interval = "3" is not a number', "without quotes")),
            ("price_workers = true", ("price_workers = true is not a number",)),
            ("price_workers = 99", ("price_workers = 99", "1 to 64")),
            ("price_workers = 1.5", ("price_workers = 1.5", "whole number")),
            ('once = "yes"', ('once = "yes" is not a boolean', "without quotes")),
            ("currency = 3", ("currency = 3 is not text", "quotes")),
            ("keymap = 3", ("keymap = 3 is not a table",)),
            ('[keymap]\nquitt = "x"', ("keymap", "has no binding for the id 'quitt'; did you mean quit?")),
            ('[keymap]\nquit = "x,"', ("keymap", "has the empty key 'x,' for 'quit'")),
            ('theme = "mauve"', ("theme = mauve is no theme; give one of sp500tui-dark, ",)),
            ("symbols = [1]", ("symbols = [1] is not a list of texts", 'such as ["AAPL", "BRK.B"]')),
            ("data\n", ("is not TOML", "line 1", "write lines such as")),
        ],
    )
    def test_a_key_of_the_file_is_refused_with_the_file(
        self, tmp_path: Path, text: str, words: tuple[str, ...]
    ) -> None:
        file = toml(tmp_path, text)
        message = refusal({}, file)
        for each in (file, *words):
            assert each in message

    @pytest.mark.parametrize("mode_of", ["folder", "file"])
    def test_an_unreadable_default_file_is_ignored_with_a_warning(
        self, public_home: Path, mode_of: str
    ) -> None:
        # given a default file that another user made
        file = default_file()
        assert file is not None
        file.parent.mkdir(parents=True)
        file.write_text("writers = 7\n")
        (file if mode_of == "file" else file.parent).chmod(0)

        # when an ordinary user loads the settings
        with ordinary_user():
            configuration = load({})
            named = refusal({}, str(file))

        # then the defaults apply, and the one warning names the file and the reason
        assert configuration.settings.writers == 2
        assert configuration.warnings == (
            f"configuration file {file} cannot be read and is ignored: Permission denied",
        )
        # and the same file is refused where it was named
        assert (
            f"configuration file {file} cannot be read: Permission denied; name a file that this user can read"
            in named
        )

    def test_a_folder_in_the_place_of_the_default_file_is_ignored_with_a_warning(self) -> None:
        file = default_file()
        assert file is not None
        file.mkdir(parents=True)
        assert load({}).warnings == (
            f"configuration file {file} cannot be read and is ignored: Is a directory",
        )

    def test_below_a_file_there_is_no_default_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CONFIG_HOME", "/dev/null")
        assert load({}).warnings == ()
        assert "does not exist" in refusal({}, "/dev/null/sp500tui/config.toml")

    def test_without_a_home_there_is_no_default_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        remove_home(monkeypatch)
        configuration = load({"data_dir": "/srv/data"})
        assert (configuration.file, configuration.warnings) == (None, ())
        assert configuration.settings.data_dir == Path("/srv/data")

    @pytest.mark.parametrize("name", ["data_dir", "log_file", "ca_file", "symbols_file"])
    def test_without_a_home_a_tilde_is_refused(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        remove_home(monkeypatch)
        assert "~/x refers to an unknown home directory; write the path in full" in refusal({name: "~/x"})

    def test_a_certificate_in_a_folder_that_the_user_may_not_enter_is_refused(
        self, public_home: Path
    ) -> None:
        public_home.chmod(0)
        with ordinary_user():
            message = refusal({"ca_file": str(public_home / "ca.pem")})
        public_home.chmod(0o700)
        assert "ca.pem cannot be read (Permission denied); give a PEM file" in message
        assert "cannot be read (File name too long)" in refusal({"ca_file": "/" + "x" * 300})

    def test_a_file_that_cannot_be_used_is_named(self, tmp_path: Path) -> None:
        assert "does not exist" in refusal({}, str(tmp_path / "absent.toml"))
        assert "cannot be read" in refusal({}, str(tmp_path))
        (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
        assert "not UTF-8" in refusal({}, str(tmp_path / "binary.toml"))
        (tmp_path / "huge.toml").write_bytes(b"#" * (2 << 20))
        assert "larger than 1 MB" in refusal({}, str(tmp_path / "huge.toml"))
        assert "home directory" in refusal({}, "~nobody-of-that-name/x.toml")

    def test_no_password_is_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "secret" not in refusal({"database": "mysql://me:secret@host/db"})
        assert "secret" not in refusal({"proxy": "gopher://me:secret@host:1"})
        monkeypatch.setenv("SP500TUI_PROXY", "gopher://me:secret@host:1")
        assert "secret" not in refusal({})

    @given(st.text(max_size=200))
    def test_a_value_is_shown_on_one_short_printable_line(self, value: str) -> None:
        shown = display_value(value)
        assert 0 < len(shown) <= 80
        assert not any(character in shown for character in "\n\r\x1b\x00\u202e")

    def test_expectations_name_both_bounds(self) -> None:
        assert constraint_text("price_workers") == "a whole number from 1 to 64"
        assert constraint_text("duration") == "a number of seconds above 0 up to 31,536,000"
        assert constraint_text("market_seed").startswith(
            "a whole number from -9,223,372,036,854,775,808 to 9,"
        )


class TestConflicts:
    def test_settings_of_equal_precedence_are_mutually_exclusive(self, tmp_path: Path) -> None:
        assert "--once and --cycles are mutually exclusive" in refusal({"once": True, "cycles": "2"})
        assert "are mutually exclusive" in refusal({"symbols": "A", "symbols_file": "/x"})
        message = refusal({}, toml(tmp_path, "once = true\ncycles = 2"))
        assert "once in" in message
        assert "cycles in" in message

    def test_the_one_of_higher_precedence_wins(self, tmp_path: Path) -> None:
        # given a file that asks for cycles
        file = toml(tmp_path, 'cycles = 2\nsymbols_file = "/nowhere"')

        # when the command line asks for one cycle and names its symbols
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

        # given equally strong ones, it is an error
        assert option.switch in refusal({"demo": True, name: value})
        monkeypatch.setenv("SP500TUI_DEMO", "yes")
        assert option.switch in refusal({name: value})

        # but the standing one of a company network does not hinder a demo asked for by hand
        monkeypatch.setenv(option.variable, value)
        monkeypatch.delenv("SP500TUI_DEMO")
        assert getattr(load({"demo": True}).settings, name) is None
        assert getattr(load({}).settings, name) is not None

    def test_the_demo_does_not_write_to_the_database_of_the_file(self, tmp_path: Path) -> None:
        # given a configuration file with the database of the live market
        file = toml(tmp_path, 'database = "postgresql://me@host/real"')
        assert load({}, file).settings.database == "postgresql://me@host/real"

        # when the demo is asked for on the command line
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


class TestSymbols:
    def test_symbols_are_listed_once_in_capitals(self) -> None:
        assert load({"symbols": "aapl, BRK.B aapl;^gspc"}).settings.symbols == ("AAPL", "BRK.B", "^GSPC")

    def test_the_configuration_file_may_hold_a_list_of_symbols(self, tmp_path: Path) -> None:
        assert load({}, toml(tmp_path, 'symbols = ["aapl", "msft"]')).settings.symbols == ("AAPL", "MSFT")

    def test_a_file_holds_one_a_line_or_commas_and_comments(self, tmp_path: Path) -> None:
        file = tmp_path / "symbols.txt"
        file.write_text("\ufeff# mine\nAAPL\nmsft, BRK.B # two\n\nAAPL\n", encoding="utf-8")

        assert load({"symbols_file": str(file)}).settings.symbols == ("AAPL", "MSFT", "BRK.B")

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "contains no symbol"),
            (b"# nothing\n\n", "contains no symbol"),
            (b"AAPL\nBRK-B\n", "line 2: 'BRK-B'"),
            (b"\x7fELF\x00\x01", "not text"),
            (b"\xff\xfeA\x00\x00", "not text"),
            (b"A\x00A\x00", "not text"),
            (b'"' + b"A" * 200_000, "line 1: field larger than"),
            pytest.param(b"A\n" * (3 << 20), "larger than 4 MB", id="too large"),
        ],
    )
    def test_an_invalid_symbols_file_is_refused_by_name(
        self, tmp_path: Path, content: bytes, words: str
    ) -> None:
        file = tmp_path / "symbols.txt"
        file.write_bytes(content)
        with pytest.raises(ConfigurationError) as caught:
            read_symbols_file(file)
        assert str(file) in str(caught.value)
        assert words in str(caught.value)

    @given(st.lists(st.from_regex(r"\^?[A-Z0-9]{1,6}(\.[A-Z])?", fullmatch=True)))
    def test_listing_keeps_every_symbol_once_and_in_order(self, symbols: list[str]) -> None:
        listed = parse_symbols(symbols)
        assert list(listed) == list(dict.fromkeys(symbols))
        assert parse_symbols(split_symbols(",".join(listed))) == listed


class TestCurrencies:
    def test_every_code_is_accepted_in_small_letters_too(self) -> None:
        for code in CURRENCIES:
            assert validate_currency(code.lower()) == code

    @given(st.text(max_size=6))
    def test_anything_else_is_refused_with_a_remedy(self, text: str) -> None:
        if text.strip().upper() not in CURRENCIES or text.strip() == "GBp":
            with pytest.raises(ValueError, match=r"give|did you mean"):
                validate_currency(text)


class TestOptions:
    def test_every_setting_is_described_once(self) -> None:
        assert sorted(option.field for option in OPTIONS) == sorted(Settings.model_fields)

    def test_the_help_names_the_actual_defaults(self) -> None:
        for option in OPTIONS:
            default = Settings.model_fields[option.field].get_default(
                call_default_factory=True, validated_data={}
            )
            if isinstance(default, int | float) and not isinstance(default, bool):
                assert f"(default: {default:g}".replace("+", "") in option.help, option.field


@pytest.mark.parametrize("option", ["keep_quotes", "keep_bars_1m"])
@pytest.mark.parametrize(
    "age", ["90", "-1d", "0d", "1y", "90D", " 90d", "1.5d", "100000d", "", "d", "٣d", "1d\n"]
)
def test_an_age_is_a_number_of_days(option: str, age: str) -> None:
    with pytest.raises(
        ConfigurationError, match="is not a number of days from 1d to 99999d; give one such as 90d"
    ):
        load({option: age})


@pytest.mark.parametrize("age", ["1d", "90d", "99999d"])
def test_an_age_in_days_is_accepted(age: str) -> None:
    assert parse_age(str(load({"keep_quotes": age}).settings.keep_quotes)).days == int(age[:-1])


class TestHugeValues:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("cycles = " + "9" * 5_000, "is not TOML: a value is too long or nested too deeply"),
            (
                "cycles = 0x" + "f" * 5_000,
                "cycles = (a number of thousands of digits) is invalid; give a whole number",
            ),
            (
                "interval = 0x" + "f" * 5_000,
                "interval = (a number of thousands of digits) is invalid; give a number",
            ),
            (
                "market_seed = 0x" + "f" * 5_000,
                "is invalid; give a whole number from -9,223,372,036,854,775,808",
            ),
            ("database = 0x" + "f" * 5_000, "database = *** is not text; write it in quotes"),
            ("symbols = [0x" + "f" * 5_000 + "]", "is not a list of texts"),
            ("symbols = " + "[" * 5_000, "is not TOML: a value is too long or nested too deeply"),
        ],
        ids=lambda text: text[:16],
    )
    def test_one_in_the_file_is_refused_in_one_line(self, tmp_path: Path, text: str, words: str) -> None:
        message = refusal({}, toml(tmp_path, text))
        assert words in message
        assert len(message) < 400

    @pytest.mark.parametrize("value", ["9" * 5_000, "1e999", "0x" + "f" * 5_000])
    def test_one_on_the_command_line_is_refused_in_one_line(self, value: str) -> None:
        for option in ("cycles", "interval", "market_seed", "writers"):
            message = refusal({option: value})
            assert "is invalid; give " in message
            assert len(message) < 250

    def test_deeply_nested_keys_are_no_json(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SP500TUI_KEYMAP", "[" * 100_000)
        assert "SP500TUI_KEYMAP is not JSON" in refusal({})


class TestServiceLinks:
    """Kubernetes sets these variables in every container beside a service named sp500tui or sp500tui-…."""

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


class TestPasswordsInTheHost:
    @pytest.mark.parametrize("scheme", ["redis", "rediss"])
    @pytest.mark.parametrize("url", ["me:12/s3cr3t@host:6379/0", "me:12?s3cr3t@host", "me:12#s3cr3t@host"])
    def test_a_broker_is_not_taken_from_a_password(self, scheme: str, url: str) -> None:
        message = refusal({"broker": f"{scheme}://{url}"})
        assert "has no usable host; write special characters of the password as %XX" in message
        assert "s3cr3t" not in message

    def test_a_proxy_is_not_taken_from_a_password(self) -> None:
        message = refusal({"proxy": "http://me:12/s3cr3t@host:3128"})
        assert "has no usable host" in message
        assert "s3cr3t" not in message

    def test_the_address_of_a_page_may_contain_one(self) -> None:
        url = "https://host/wiki/@_(page)"
        assert load({"wikipedia_url": url}).settings.wikipedia_url == url
