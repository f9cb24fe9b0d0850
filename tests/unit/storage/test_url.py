"""Database URLs: checked, and shown without passwords."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from sp500tui.errors import ConfigurationError, DatabaseError
from sp500tui.storage.connection import connect
from sp500tui.storage.url import (
    PERMITTED,
    check_url,
    invalid_value_message,
    unusable_passfile,
    with_database,
    without_password,
)
from tests.support.environment import remove_home


class TestWithoutPassword:
    @pytest.mark.parametrize(
        ("url", "name"),
        [
            ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
            ("postgresql://me@host/db", "postgresql://me@host/db"),
            ("postgresql://host:5432/db?x=a@b", "postgresql://host:5432/db?x=a@b"),
            ("postgresql:///db?host=/tmp&password=secret", "postgresql:///db?host=/tmp&password=***"),
            ("postgresql:///db?sslpassword=secret&x=1", "postgresql:///db?sslpassword=***&x=1"),
            ("postgresql://me:p@ss@host/db", "postgresql://me:***@host/db"),
        ],
    )
    def test_two_urls_are_the_same_database_whatever_their_passwords(self, url: str, name: str) -> None:
        # Journals of earlier versions are found by exactly this text.
        assert without_password(url) == name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://me:p%2Fw@host:5432/db", "postgresql://me:p%2Fw@host:5432/other"),
        ("postgresql://host", "postgresql://host/other"),
        ("postgresql://a:1,b:2/db?sslmode=prefer", "postgresql://a:1,b:2/other?sslmode=prefer"),
        ("postgresql://me@/db?host=/run/x&port=5432", "postgresql://me@/other?host=/run/x&port=5432"),
        ("postgresql:///db?dbname=main&host=/tmp", "postgresql:///other?host=/tmp"),
        ("postgresql://host?dbname=main", "postgresql://host/other"),
    ],
)
def test_another_database_of_the_same_server(url: str, name: str) -> None:
    changed = with_database(url, "other")
    assert changed == name
    check_url(changed)
    assert psycopg.conninfo.conninfo_to_dict(changed)["dbname"] == "other"


class TestEnumeratedParameters:
    @pytest.mark.parametrize("name", sorted(PERMITTED))
    def test_a_value_that_is_not_permitted_is_refused_with_those_that_are(self, name: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            check_url(f"postgresql://me:s3cr3t@host/db?{name}=foo")
        assert f"the value of {name} is not one of {', '.join(PERMITTED[name])}" in str(caught.value)
        assert "s3cr3t" not in str(caught.value)

    @pytest.mark.parametrize("name", sorted(PERMITTED))
    def test_every_permitted_value_is_accepted_here_and_by_libpq(self, name: str) -> None:
        for value in PERMITTED[name]:
            url = f"postgresql:///db?host=%2Fnowhere&{name}={value}"
            check_url(url)
            with pytest.raises(psycopg.OperationalError) as caught:
                psycopg.connect(url, connect_timeout=2)
            # Some need a TLS or Kerberos build, or another parameter.
            assert not invalid_value_message(str(caught.value)) or "not supported" in str(caught.value)

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            ("require_auth=foo", "require_auth is not a list of password, md5"),
            ("require_auth=md5,!foo", "require_auth is not a list of"),
            ("connect_timeout=soon", "the value of connect_timeout is not a whole number"),
            ("keepalives_idle=1.5", "the value of keepalives_idle is not a whole number"),
            ("tcp_user_timeout=", "the value of tcp_user_timeout is not a whole number"),
            ("sslmode=require&sslmode=foo", "the value of sslmode is not one of"),
        ],
    )
    def test_other_invalid_values_are_refused(self, query: str, words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            check_url(f"postgresql://host/db?{query}")

    @pytest.mark.parametrize(
        "query",
        [
            "require_auth=scram-sha-256,md5",
            "require_auth=!password",
            "connect_timeout=5",
            "ssl_min_protocol_version=tlsv1.2",
            "sslmode=",
        ],
    )
    def test_values_that_libpq_accepts_are_accepted(self, query: str) -> None:
        check_url(f"postgresql://host/db?{query}")

    @pytest.mark.parametrize(("variable", "name"), [("PGSSLMODE", "sslmode"), ("PGGSSENCMODE", "gssencmode")])
    def test_a_value_from_the_environment_is_named_too(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, name: str
    ) -> None:
        monkeypatch.setenv(variable, "s3cr3t")
        with pytest.raises(DatabaseError) as caught:
            connect("postgresql://me:s3cr3t@127.0.0.1:1/db", application_name="test")
        assert f"the value of {name} is not one of {', '.join(PERMITTED[name])}" in str(caught.value)
        assert variable in str(caught.value)
        assert "s3cr3t" not in str(caught.value)


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
    def test_accepts_what_libpq_accepts(self, url: str) -> None:
        check_url(url)

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("", "does not begin with postgresql://"),
            ("mysql://me:s3cr3t@host/db", "does not begin with postgresql://"),
            ("postgresql+psycopg2://me:s3cr3t@host/db", "does not begin with postgresql://"),
            ("postgresql:host", "does not begin with postgresql://"),
            ("host=localhost dbname=db", "contains spaces"),
            ("postgresql://host/db\n", "contains spaces"),
            ("postgresql://me:s3cr3t@host:port/db", "no usable port"),
            ("postgresql://me:s3cr3t@host:99999/db", "no usable port"),
            ("postgresql://host:0/db", "no usable port"),
            ("postgresql://me:s3cr3t@host/db?sslmoode=require", "unknown parameter; did you mean sslmode?"),
            ("postgresql://me:s3cr3t%@host/db", "broken %XX"),
            ("postgresql://me:s3cr3t@host/db#x", "has a `#` in it"),
            ("postgresql://me:s3cr3t/x@host/db", "no usable port"),
            ("postgresql://a:1,b:x/db", "no usable port"),
            ("postgresql://me:12/s3cr3t@host/db", "no usable host"),
            ("postgresql://me@host/d@b", "no usable host"),
            ("postgresql://me:s3cr3t\udcff@host/db", "is not UTF-8 text"),
            ("postgresql://me@host/\udce9", "is not UTF-8 text"),
            ("postgresql://[::1/db", "no usable host"),
            ("postgresql://me:s3cr3t@host/db?sslmode", "the parameter 'sslmode' without a value"),
            ("postgresql://host/db?options=-c%20a=s3cr3t", "an unescaped `=` in the value of 'options'"),
        ],
    )
    def test_names_the_problem_and_the_correct_form(self, url: str, words: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            check_url(url)
        message = str(caught.value)
        assert words in message
        assert "postgresql://user@host:5432/database" in message
        assert "s3cr3t" not in message
        assert message.isprintable()

    def test_accepts_a_private_passfile(self, tmp_path: Path) -> None:
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

    @pytest.mark.parametrize("path", ["/dev/null", "/tmp"])
    def test_refuses_a_passfile_that_is_no_file(self, path: str) -> None:
        with pytest.raises(ConfigurationError, match="is not a regular file"):
            check_url(f"postgresql://me@host/db?passfile={path}")

    def test_refuses_a_missing_passfile(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="No such file"):
            check_url(f"postgresql://me@host/db?passfile={tmp_path / 'none'}")


class TestUnusablePassfile:
    @pytest.fixture
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("PGPASSFILE", raising=False)
        return tmp_path

    def passfile(self, folder: Path, mode: int) -> Path:
        file = folder / ".pgpass"
        file.write_text("*:*:*:*:secret")
        file.chmod(mode)
        return file

    @pytest.mark.parametrize("mode", [0o600, 0o400])
    def test_one_of_its_owner_alone_is_used(self, home: Path, mode: int) -> None:
        self.passfile(home, mode)
        assert unusable_passfile() is None

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
    def test_one_open_to_others_is_not(self, home: Path, mode: int) -> None:
        file = self.passfile(home, mode)
        assert unusable_passfile() == (file, "it is open to other users; run chmod 600 on it")

    def test_the_variable_names_another(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passfile(home, 0o644)
        monkeypatch.setenv("PGPASSFILE", str(home / "none"))
        assert unusable_passfile() is None
        monkeypatch.setenv("PGPASSFILE", str(home))
        assert unusable_passfile() == (home, "it is not a regular file")

    def test_without_a_home_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        remove_home(monkeypatch)
        monkeypatch.delenv("PGPASSFILE", raising=False)
        assert unusable_passfile() is None
