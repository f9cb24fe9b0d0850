"""Database URLs: checked, and shown without passwords."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.domain import ConfigurationError
from sp500tui.storage.address import check_url, mask_url


class TestMaskUrl:
    @pytest.mark.parametrize(
        ("url", "masked"),
        [
            ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
            ("postgresql://me@host/db", "postgresql://me@host/db"),
            ("postgresql://host:5432/db", "postgresql://host:5432/db"),
            ("postgresql://[::1]:5432/db", "postgresql://[::1]:5432/db"),
            ("postgresql://[::1]/db?x=a@b", "postgresql://[::1]/db?x=a@b"),
            ("postgresql:///db?host=/tmp&password=secret", "postgresql:///db?host=/tmp&password=***"),
            ("postgresql:///db?sslpassword=secret&x=1", "postgresql:///db?sslpassword=***&x=1"),
            ("postgresql://me:a/b#c?d@host/db", "postgresql://me:***@host/db"),
            ("postgresql://me:p@ss@host/db", "postgresql://me:***@host/db"),
            ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
            ("host=h password='a b' user=me", "host=h password=*** user=me"),
            ("host=h password = secret", "host=h password = ***"),
            ("postgresql://me:se\x1b[31mcret@host/db", "postgresql://me:***@host/db"),
            ("postgresql://\x1b[31mhost/db\n", "postgresql://[31mhost/db"),
            ("nonsense", "nonsense"),
            ("", ""),
        ],
    )
    def test_hides_the_password_and_nothing_else(self, url: str, masked: str) -> None:
        assert mask_url(url) == masked

    @given(st.text(min_size=1, max_size=20))
    def test_never_shows_a_password(self, tail: str) -> None:
        password = "s3cr3t" + tail
        for written in (password, quote(password, safe="")):
            assert "s3cr3t" not in mask_url(f"postgresql://me:{written}@host:5432/db")

    @given(st.text())
    def test_takes_any_text(self, text: str) -> None:
        assert not any(ord(character) < 32 for character in mask_url(text))


class TestCheckUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://me:secret@host:5432/db",
            "postgres://host",
            "postgresql://host:/db",
            "postgresql:///db?host=/run/postgresql&application_name=x",
            "postgresql://a:1,b:2/db?target_session_attrs=read-write",
            "postgresql://me:p%40ss@[::1]:5433/db?sslmode=require",
        ],
    )
    def test_takes_what_libpq_takes(self, url: str) -> None:
        check_url(url)

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("", "does not begin with postgresql://"),
            ("mysql://me:s3cr3t@host/db", "does not begin with postgresql://"),
            ("postgresql+psycopg2://me:s3cr3t@host/db", "does not begin with postgresql://"),
            ("postgresql:host", "does not begin with postgresql://"),
            ("host=localhost dbname=db", "holds blanks"),
            ("postgresql://host/db\n", "holds blanks"),
            ("postgresql://me:s3cr3t@host:port/db", "no usable port"),
            ("postgresql://me:s3cr3t@host:99999/db", "no usable port"),
            ("postgresql://host:0/db", "no usable port"),
            ("postgresql://me:s3cr3t@host/db?sslmoode=require", "unknown parameter 'sslmoode'"),
            ("postgresql://me:s3cr3t%@host/db", "broken %XX"),
            ("postgresql://me:s3cr3t@host/db#x", "has a `#` in it"),
            ("postgresql://me:s3cr3t/x@host/db", "no usable port"),
            ("postgresql://a:1,b:x/db", "no usable port"),
            ("postgresql://[::1/db", "no usable host"),
            ("postgresql://me:s3cr3t@host/db?sslmode", "valueless parameter 'sslmode'"),
        ],
    )
    def test_says_what_is_wrong_and_how_to_write_it(self, url: str, words: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            check_url(url)
        message = str(caught.value)
        assert words in message
        assert "postgresql://user@host:5432/database" in message
        assert "s3cr3t" not in message
        assert message.isprintable()

    def test_takes_a_private_passfile(self, tmp_path: Path) -> None:
        passfile = tmp_path / "pass"
        passfile.write_text("*:*:*:*:secret")
        passfile.chmod(0o600)
        check_url(f"postgresql://me@host/db?passfile={passfile}")

    def test_refuses_a_passfile_open_to_others(self, tmp_path: Path) -> None:
        passfile = tmp_path / "pass"
        passfile.write_text("*:*:*:*:secret")
        passfile.chmod(0o644)
        with pytest.raises(ConfigurationError, match="chmod 600"):
            check_url(f"postgresql://me@host/db?passfile={passfile}")

    def test_refuses_a_passfile_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="No such file"):
            check_url(f"postgresql://me@host/db?passfile={tmp_path / 'none'}")
