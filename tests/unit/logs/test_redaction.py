"""Text that is safe to show: one line, no control characters, no passwords."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sp500tui.logs.redaction import one_line, plain, redact, redact_url, shown_value

SECRET = "s3cr3t"
AWKWARD = ["]", "[", "@", "/", ":", "?", "#", "%", "%zz", "%40", "%3A", "&", "=", ";", " ", "\t", "\n", "\x1b",
           "\\", "'", '"', "://", ",", "*", "12", "a", "é", "🎉", "password=", "\ud800"]  # fmt: skip
junk = st.lists(st.one_of(st.sampled_from(AWKWARD), st.characters()), max_size=5).map("".join)
schemes = st.sampled_from(
    ["postgresql", "postgres", "redis", "rediss", "http", "https", "socks5h", "plain", "mysql", ""]
)
users = st.sampled_from(["me", "", "me%40corp", "m e", "me@corp", "[me]"])
hosts = st.sampled_from(["host", "host:5432", "[::1]:5432", "", "h1,h2:1", "ho]st", "host:port", "@host"])
paths = st.sampled_from(["", "/db", "/db?sslmode=require", "/a:b", "#x", "?x", "/0?db=1"])


@st.composite
def passwords(draw: st.DrawFn) -> str:
    """A password with the secret in it, as typed or percent-encoded."""
    password = draw(junk) + SECRET + draw(junk)
    try:
        return draw(st.sampled_from([password, quote(password, safe=""), password.replace("%", "%25")]))
    except UnicodeEncodeError:
        return password


@st.composite
def addresses(draw: st.DrawFn) -> str:
    """Addresses with the secret as a password, valid and invalid ones."""
    scheme, user, host, path = draw(schemes), draw(users), draw(hosts), draw(paths)
    password, ending = draw(passwords()), SECRET + draw(junk)
    separator = draw(st.sampled_from(["://", ":", ":/", "//", "/", "", "///", ": //", "::/"]))
    name = draw(
        st.sampled_from(["password", "sslpassword", "ssl_password", "PASSWORD", "passwd", "pasword", "pwd"])
    )
    return draw(
        st.sampled_from(
            [
                f"{scheme}{separator}{user}:{password}@{host}{path}",
                f"{scheme}://{user}:{ending}",
                f"{scheme}{separator}{user}:{ending}{host}{path}",
                f"{scheme}://{host}{path}?{name}={ending}",
                f"postgresql://host/db?{name}={password}&sslmode=require",
                f"postgresql://host/db?sslmode=require;{name}={password}",
                f"redis://host/0?{name}={password}",
                f"host=h {name}={ending} user=me",
                f"host=h {name} = '{password}' user=me",
                f"{name}='{password}",
                f" postgresql://me:{password}@host/db",
                f"postgresql://me:{password}@host/db ",
            ]
        )
    )


class TestRedactUrl:
    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
            ("postgresql://me@host/db", "postgresql://me@host/db"),
            ("postgresql://host:5432/db", "postgresql://host:5432/db"),
            (
                "postgresql://a:1,b:2/db?target_session_attrs=any",
                "postgresql://a:1,b:2/db?target_session_attrs=any",
            ),
            ("postgresql://[::1]:5432/db", "postgresql://[::1]:5432/db"),
            ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
            ("postgresql://me:p@ss@host/db", "postgresql://me:***@host/db"),
            ("postgresql:///db?host=/tmp&password=secret", "postgresql:///db?host=/tmp&password=***"),
            ("postgresql:///db?host=%2Fa%20b%3A%C3%BC", "postgresql:///db?host=%2Fa%20b%3A%C3%BC"),
            (
                "postgresql:///db?sslpassword=secret&sslmode=require",
                "postgresql:///db?sslpassword=***&sslmode=require",
            ),
            ("postgresql://h/db?options=-c%20a%3Db", "postgresql://h/db?options=***"),
            ("redis://:secret@host:6379/0", "redis://:***@host:6379/0"),
            ("redis://secret@host/0", "redis://***@host/0"),
            ("http://user@host/path", "http://***@host/path"),
            ("https://en.wikipedia.org/wiki/A:B_%26_C#x", "https://en.wikipedia.org/wiki/A:B_%26_C#x"),
            ("http://host?page=1&key=secret", "http://host?page=1&***"),
            ("postgresql://", "postgresql://"),
            ("postgresql://***", "postgresql://***"),
        ],
    )
    def test_what_can_be_read_is_shown_without_its_password(self, url: str, shown: str) -> None:
        assert redact_url(url) == shown
        assert redact_url(shown) == shown

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("me:s3cr3t]/@host/db", "***"),
            ("plain:s3cr3t@h/db", "***"),
            ("postgresql://me:s3cr3t]/@host:5432/db", "postgresql://***"),
            ("postgresql:me:s3cr3t@host/db", "***"),
            ("postgresql://me:s3cr3t", "postgresql://***"),
            ("postgresql://me:12/s3cr3t@host/db", "postgresql://***"),
            ("postgresql://me:12?s3cr3t@host/db", "postgresql://***"),
            ("postgresql://me:12#s3cr3t@host/db", "postgresql://***"),
            ("postgresql://me%3As3cr3t@host/db", "postgresql://***@host/db"),
            ("postgresql://me%3As3cr3t%40host/db", "postgresql://***"),
            ("postgresql:///me:s3cr3t@host/db", "postgresql://***"),
            ("postgresql:///me:s3cr3t", "postgresql://***"),
            ("postgresql://[s3cr3t]/db", "postgresql://***"),
            ("mysql://me:s3cr3t@host/db", "***"),
            ("host=h password='s3cr3t' user=me", "***"),
            ("s3cr3t", "***"),
            ("", "***"),
        ],
    )
    def test_unreadable_input_is_not_quoted(self, url: str, shown: str) -> None:
        assert redact_url(url) == shown

    @given(addresses())
    @example("me:s3cr3t]/@host/db")
    @example("postgresql://me:s3cr3t]/@host:5432/db")
    @settings(max_examples=10 * settings().max_examples)
    def test_a_badly_written_address_shows_no_password(self, address: str) -> None:
        assert SECRET not in redact_url(address)

    @given(st.one_of(st.text(), addresses()))
    def test_any_text_is_accepted_and_the_result_is_printable(self, text: str) -> None:
        shown = redact_url(text)
        assert not any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in shown)
        assert redact_url(shown) == shown


class TestRedact:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("plain", "plain"),
            ("Ærø 🎉 שלום", "Ærø 🎉 שלום"),
            ("mail me@example.org: now", "mail me@example.org: now"),
            ("x postgresql://me:secret@host:5432/db y", "x postgresql://me:***@host:5432/db y"),
            (
                "the database 'postgresql://me:a@h/db': closed",
                "the database 'postgresql://me:***@h/db': closed",
            ),
            ("--database=postgresql://me:secret@h/db", "--database=postgresql://me:***@h/db"),
            ("Proxy('http://me:secret@h:1'), x", "Proxy('http://me:***@h:1'), x"),
            (
                "see https://curl.se/libcurl/c/libcurl-errors.html.",
                "see https://curl.se/libcurl/c/libcurl-errors.html.",
            ),
            ("starts with redis:// or rediss://; give one", "starts with redis:// or rediss://; give one"),
            (
                "begins with postgresql://; write postgresql://u@h/d",
                "begins with postgresql://; write postgresql://u@h/d",
            ),
            ("postgresql://me:sec ret@host/db after", "postgresql://*** after"),
            ("postgresql://me:12 secret@host/db after", "postgresql://*** after"),
            ("me:secret@host/db", "me:***@host/db"),
            ("host=h password='se cret' x", "host=h password=*** x"),
            ("host=h password='se cret x", "host=h password=***"),
            (r"host=h password=se\ cret x", "host=h password=*** x"),
            ("host=h password=se'cret x", "host=h password=*** x"),
            ("host=h password=':// secret' user=me", "host=h *** user=me"),
            ("host=h password='a@b ://c secret' user=me", "host=h password=*** user=me"),
            (r"host=h password=://\ secret user=me", "host=h *** user=me"),
            ("see http://h/x, password=':// secret'", "see http://***"),
            ("password = password = secret x", "password = *** = *** x"),
            ('if password == "sec ret":', "if password =***"),
            ("password='sec ret\\", "password=***"),
            ("password=sec\u00a0ret x", "password=*** x"),
            ('password="secret",secret x', "password=*** x"),
            ("password=***]secret x", "password=*** x"),
            ("{'password': b'sec ret'}", "{'password': ***}"),
            ("a?x=1&password=secret&b=2", "a?x=1&password=***&b=2"),
            ("(password=***)", "(password=***)"),
            ("PGPASSWORD=secret psql", "PGPASSWORD=*** psql"),
            ("broker_password: secret", "broker_password: ***"),
            ('{"password": "sec\\"ret", "x": 1}', '{"password": ***, "x": 1}'),
            ("{'password': 'secret'}", "{'password': ***}"),
            ("Proxy-Authorization: Basic c2VjcmV0 x", "Proxy-Authorization: *** x"),
            ("broker_password_file = /run/secret", "broker_password_file = /run/secret"),
            ("one postgresql://a:b@h/d\ntwo me@h", "one postgresql://a:***@h/d\ntwo me@h"),
        ],
    )
    def test_passwords_are_masked_and_the_rest_stays(self, text: str, shown: str) -> None:
        assert redact(text) == shown
        assert redact(shown) == shown

    @given(passwords(), st.sampled_from(["postgresql", "redis", "http"]), hosts)
    @settings(max_examples=5 * settings().max_examples)
    def test_an_address_within_text_shows_no_password(self, password: str, scheme: str, host: str) -> None:
        assert SECRET not in plain(f"x '{scheme}://me:{password}@{host}/db' y")
        assert SECRET not in one_line(f"x '{scheme}://me:{password}@{host}/db' y")

    @given(
        passwords(),
        st.sampled_from(["password", "sslpassword", "PGPASSWORD", "passwd", "broker_password"]),
        st.sampled_from(["", "host=h ", "see http://h/x ", "error: ", "x me:pw@h ", "a?b=1&", "password="]),
    )
    @settings(max_examples=5 * settings().max_examples)
    def test_a_named_password_is_not_shown(self, password: str, name: str, before: str) -> None:
        single = re.sub(r"([\\'])", r"\\\1", password)
        double = re.sub(r'([\\"])', r"\\\1", password)
        unquoted = re.sub(r"(?a)([\\'\s])", r"\\\1", password)
        for cleaned in (plain, one_line):
            assert SECRET not in cleaned(f"{before}{name}='{single}' user=me")
            assert SECRET not in cleaned(f"{before}{name} = '{single}")
            assert SECRET not in cleaned(f'{before}{name}="{double}" user=me')
            assert SECRET not in cleaned(f'{before}{{"{name}": "{double}", "a": 1}}')
            if "&" not in password or not before.endswith("&"):
                assert SECRET not in cleaned(f"{before}{name}={unquoted} user=me")

    @given(passwords(), st.sampled_from(["postgresql", "redis", "http"]))
    def test_an_address_that_was_taken_for_a_path_shows_no_password(self, password: str, scheme: str) -> None:
        path = Path(f"{scheme}://me:{password}@host/db")
        assert SECRET not in plain(f"cannot write {path}: the folder {path.parent} does not exist")


class TestShownValue:
    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            ("AAPL", "AAPL"),
            ("NASDAQ:AAPL", "NASDAQ:AAPL"),
            ("me@work", "me@work"),
            ("a\nb", r"a\nb"),
            ("", ""),
            ("x" * 50, "x" * 39 + "…"),
            ("me:sec ret@host", "***"),
            ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
            ("postgresql://me:sec ret@host/db", "postgresql://***"),
        ],
    )
    def test_a_value_is_shown_without_passwords(self, value: str, shown: str) -> None:
        assert shown_value(value) == shown

    @given(passwords(), st.sampled_from(["postgresql://", "redis://", "http://", ""]), st.integers(8, 60))
    @example("s3cr3t", "", 20)
    @settings(max_examples=5 * settings().max_examples)
    def test_cutting_an_address_shows_no_password(self, password: str, scheme: str, longest: int) -> None:
        shown = shown_value(f"{scheme}me:{password}@host.example/db", longest)
        assert SECRET not in shown
        assert len(shown) <= longest


class TestPlain:
    @pytest.mark.parametrize(
        ("text", "safe"),
        [
            ("two\nlines\ttab", r"two\nlines\ttab"),
            ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
            ("\u202eevil\u2066", r"\u202eevil\u2066"),
            ("lone \ud800", r"lone \ud800"),
            ("postgresql://me:se\ncret@h/db", "postgresql://me:***@h/db"),
        ],
    )
    def test_text_is_made_safe(self, text: str, safe: str) -> None:
        assert plain(text) == safe

    @given(st.one_of(st.text(), addresses()))
    @example("PASSWORD=''0")
    @example("postgresql://:password=@")
    @settings(max_examples=5 * settings().max_examples)
    def test_no_control_character_is_left_and_cleaning_twice_changes_nothing(self, text: str) -> None:
        cleaned = plain(text)
        assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in cleaned)
        assert plain(cleaned) == cleaned


class TestOneLine:
    def test_white_space_becomes_blanks_and_what_cannot_be_printed_is_dropped(self) -> None:
        assert one_line(" a\n\tb\x00c  d ") == "a bc d"

    def test_a_long_text_is_cut(self) -> None:
        assert one_line("x" * 10**7, 5) == "xxxx…"

    def test_anything_can_be_given(self) -> None:
        assert one_line(ValueError("me:secret@host")) == "me:***@host"
