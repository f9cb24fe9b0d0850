"""Validation and masking of database URLs."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sp500tui.config.suggestions import suggestion
from sp500tui.errors import ConfigurationError
from sp500tui.logs.redaction import redact_url

_EXAMPLE = "postgresql://user@host:5432/database"
_SCHEMES = ("postgresql", "postgres")
_SECRET_PARAMETER = re.compile(r"(?i)\b((?:ssl)?password=)[^&#]*")
_BLANK = re.compile(r"[\x00-\x20\x7f-\x9f]")
_SHARED_BITS = stat.S_IRWXG | stat.S_IRWXO
NO_PASSFILE = os.devnull + "/none"
"""Path of a password file that never exists."""
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_WIRE_VERSIONS = ("3.0", "3.2", "latest")
_FLAGS = ("0", "1")
PERMITTED = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssdelegation": _FLAGS,
    "gssencmode": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "max_protocol_version": _WIRE_VERSIONS,
    "min_protocol_version": _WIRE_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "sslcertmode": ("disable", "allow", "require"),
    "sslcompression": _FLAGS,
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "sslsni": _FLAGS,
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
"""Values of libpq's enumerated parameters, from PostgreSQL 18's documentation (section 32.1.2)."""
_AUTHENTICATION = ("password", "md5", "gss", "sspi", "scram-sha-256", "oauth", "none")
"""Elements of `require_auth`, each of which may follow a `!`."""
_INTEGERS = (
    "connect_timeout",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
)
_REFUSED_VALUE = re.compile(r'invalid (\w+) value: "')
_REFUSED_INTEGER = re.compile(r'invalid integer value ".*" for connection option "(\w+)"')


def check_url(url: str) -> None:
    """Validate a database URL before libpq uses it.

    Raises:
        ConfigurationError: with the masked URL, the error and an example.
    """
    fault = _url_error(url)
    if fault:
        raise ConfigurationError(f"the database URL {redact_url(url)!r} {fault}; write it as {_EXAMPLE}")
    for passfile in parse_qs(urlsplit(url).query).get("passfile", []):
        _check_passfile(passfile)


def without_password(url: str) -> str:
    """A URL that passed `check_url`, with every password replaced by `***`.

    It identifies the database independently of its password.
    """
    scheme, separator, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, at, hosts = authority.rpartition("@")
    name, colon, _ = user.partition(":")
    shown = f"{name}{':***' if colon else ''}{at}{hosts}"
    return _SECRET_PARAMETER.sub(r"\1***", scheme + separator + shown + rest[len(authority) :])


def database_key(url: str | None) -> str:
    """The name of a database's journal folder, so that rows of one database are never stored in another.

    `url`: one that passed `check_url`; None for the embedded database.
    """
    if url is None:
        return "embedded"
    return hashlib.sha256(without_password(url).encode()).hexdigest()[:12]


def with_database(url: str, name: str) -> str:
    """A URL that passed `check_url`, with another database of the same server; `name` needs no escaping."""
    scheme, separator, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    # A parameter `dbname` has precedence over the path.
    kept = "&".join(part for part in query.split("&") if part and not part.startswith("dbname="))
    return f"{scheme}{separator}{rest.partition('/')[0]}/{name}{'?' * bool(kept)}{kept}"


def invalid_value_message(message: str) -> str:
    """The invalid parameter in libpq's message and its valid values; empty if the message names none."""
    if found := _REFUSED_VALUE.search(message):
        name = found[1]
        return f"{_expected_values(name)}; correct it in the URL, PG{name.upper()} or the service file"
    if found := _REFUSED_INTEGER.search(message):
        return f"{_expected_values(found[1])}; correct it in the URL, the environment or the service file"
    return ""


def _expected_values(name: str) -> str:
    if name in PERMITTED:
        return f"the value of {name} is not one of {', '.join(PERMITTED[name])}"
    if name == "require_auth":
        return f"{name} is not a list of {', '.join(_AUTHENTICATION)}"
    if name in _INTEGERS:
        return f"the value of {name} is not a whole number"
    return f"the value of {name} is not possible"


def _invalid_parameter(query: str) -> str:
    """The error of the first parameter whose value libpq would reject; empty if there is none."""
    for name, values in parse_qs(query, keep_blank_values=True).items():
        if not all(_is_valid(name, value) for value in values):
            return f"is not possible: {_expected_values(name)}"
    return ""


def _is_valid(name: str, value: str) -> bool:
    if name == "require_auth":
        return all(element.removeprefix("!") in ("", *_AUTHENTICATION) for element in value.split(","))
    if name in _INTEGERS:
        return re.fullmatch(r"\s*[+-]?\d{1,9}\s*", value) is not None
    if name.endswith("protocol_version"):
        # libpq ignores case for these parameters only.
        return value.lower() in ("", *(permitted.lower() for permitted in PERMITTED[name]))
    return name not in PERMITTED or value in ("", *PERMITTED[name])


def _url_error(url: str) -> str:
    """The error in the URL, as the end of a sentence; empty if it is valid."""
    if _BLANK.search(url) or any(character.isspace() for character in url):
        return "contains spaces or control characters"
    if any("\ud800" <= character <= "\udfff" for character in url):
        # Bytes of the command line or of a variable that are not UTF-8.
        return "is not UTF-8 text (escape special characters of the password as %XX)"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "has no usable host (escape special characters of the password as %XX)"
    if parts.scheme not in _SCHEMES or "://" not in url:
        return "does not begin with postgresql://"
    if not all(map(_is_port, _ports(parts.netloc))):
        return "has no usable port (escape special characters of the password as %XX)"
    if "@" in parts.path:
        # libpq would use the start of a password such as `12/x` as the port.
        return "has no usable host (escape special characters of the password as %XX)"
    if parts.fragment:
        return "has a `#` in it (escape special characters of the password as %XX)"
    # Imported here so that masking a URL does not load psycopg.
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.errors import ProgrammingError

    try:
        conninfo_to_dict(url)
    except ProgrammingError as error:
        return _describe_parse_error(str(error))
    return _invalid_parameter(parts.query)


def _ports(authority: str) -> list[str]:
    """The ports of `user:password@host:port,host:port`."""
    hosts = authority.rpartition("@")[2].split(",")
    named = (host.rpartition("]")[2].rpartition(":") for host in hosts)
    return [port for _, colon, port in named if colon and port]


def _is_port(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= 5 and 0 < int(text) < 65_536


def _describe_parse_error(message: str) -> str:
    """The error of libpq without the text it quotes, which may be part of the password."""
    parameter = re.search(r'URI query parameter: "(\w{1,40})"', message)
    if parameter:
        from psycopg import pq

        known = [each.keyword.decode() for each in pq.Conninfo.get_defaults()]
        if parameter[1] in known:
            if message.startswith("extra key"):
                return f"has an unescaped `=` in the value of {parameter[1]!r} (write it as %3D)"
            return f"has the parameter {parameter[1]!r} without a value"
        return f"has an unknown parameter; {suggestion(parameter[1], known) or 'leave it out'}"
    if "percent-encoded" in message:
        return "has a broken %XX in it"
    return "cannot be read (escape special characters of the password as %XX)"


def unusable_passfile() -> tuple[Path, str] | None:
    """The password file of `PGPASSFILE` or the home directory that libpq ignores, and why; None if it uses or has none.

    libpq reports that on stderr, which belongs to the dashboard.
    """
    try:
        named = os.environ.get("PGPASSFILE")
        path = Path(named) if named else Path("~/.pgpass").expanduser()
        mode = path.stat().st_mode
    except (OSError, ValueError, RuntimeError):
        return None
    if not stat.S_ISREG(mode):
        return path, "it is not a regular file"
    return (path, "it is open to other users; run chmod 600 on it") if mode & _SHARED_BITS else None


def _check_passfile(name: str) -> None:
    path = Path(name)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigurationError(
            f"the passfile {name!r} cannot be read: {error.strerror}; check its path"
        ) from error
    if not stat.S_ISREG(mode):
        raise ConfigurationError(
            f"the passfile {name!r} is not a regular file; name one that only you can read"
        )
    if mode & _SHARED_BITS:
        raise ConfigurationError(f"the passfile {name!r} is open to other users; run chmod 600 on it")
