"""Settings: limits, refusals and their messages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.config.currencies import CURRENCIES, validate_currency
from sp500tui.config.loader import default_file, load
from sp500tui.config.messages import constraint_text, display_value
from sp500tui.config.options import OPTIONS
from sp500tui.config.settings import Settings, parse_age
from sp500tui.errors import ConfigurationError
from tests.support.environment import isolate_home, ordinary_user, remove_home
from tests.support.postgres.server import public_folder
from tests.unit.config.loading import refusal, toml


@pytest.fixture
def public_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home that every user may enter."""
    folder = public_folder()
    isolate_home(monkeypatch, folder)
    yield folder
    for each in folder.rglob("*"):
        each.chmod(0o700)
    shutil.rmtree(folder)


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
            ({"ca_file": "/dev/zero"}, ("--ca-file /dev/zero", "not a regular file; give a PEM file")),
            ({"ca_file": "/"}, ("--ca-file /", "not a regular file; give a PEM file")),
            ({"data_dir": ""}, ("--data-dir ''", "not a path")),
            ({"data_dir": "~no-such-user/x"}, ("--data-dir", "in full")),
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
            ("SP500TUI_KEYMAP", '{"quit": 3}', ("SP500TUI_KEYMAP", "is not an object of strings; give one")),
            ("SP500TUI_KEYMAP", "5", ("SP500TUI_KEYMAP=5 is not an object of strings; give one",)),
            ("SP500TUI_THEME", "nodr", ("SP500TUI_THEME=nodr is not a theme; did you mean nord?",)),
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
            ('theme = "mauve"', ("theme = mauve is not a theme; give one of sp500tui-dark, ",)),
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
        # given a default file created by another user
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
        # and the same file is refused if it is named explicitly
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
        assert "home directory" in refusal({}, "~no-such-user/x.toml")

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
