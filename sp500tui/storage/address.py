"""Where the database is: its URL checked, and shown without its password."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sp500tui.domain import ConfigurationError

_EXAMPLE = "postgresql://user@host:5432/database"
_SCHEMES = ("postgresql", "postgres")
_SECRET_PARAMETER = re.compile(r"(?i)\b((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'?|[^\s&#]*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SHARED_BITS = stat.S_IRWXG | stat.S_IRWXO


def mask_url(url: str) -> str:
    """The URL with every password replaced by `***` and without control characters; any text is accepted."""
    text = _CONTROL.sub("", url)
    scheme, separator, rest = text.partition("://")
    if separator:
        text = scheme + separator + _mask_user(rest)
    return _SECRET_PARAMETER.sub(r"\1***", text)


def check_url(url: str) -> None:
    """Refuse a database URL that libpq could not use.

    Raises:
        ConfigurationError: naming the masked URL, what is wrong with it and how to write it.
    """
    fault = _fault(url)
    if fault:
        raise ConfigurationError(f"the database URL {mask_url(url)!r} {fault}; write it as {_EXAMPLE}")
    for passfile in parse_qs(urlsplit(url).query).get("passfile", []):
        _check_passfile(passfile)


def _mask_user(rest: str) -> str:
    """Mask `user:password@`; also where an unescaped `/`, `?` or `#` is part of the password."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    _, colon, port = authority.rpartition(":")
    if "@" not in authority and (not colon or port.isdecimal() or "]" in port):
        return rest
    user, at, tail = (authority if "@" in authority else rest).rpartition("@")
    if not at:
        return rest
    name, colon, _ = user.partition(":")
    return f"{name}{':***' if colon else ''}@{tail}{rest[len(authority) :] if '@' in authority else ''}"


def _fault(url: str) -> str:
    """What is wrong with the URL, as the rest of a sentence; empty when nothing is."""
    if _CONTROL.search(url) or any(character.isspace() for character in url):
        return "holds blanks or control characters"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "has no usable host (escape special characters of the password as %XX)"
    if parts.scheme not in _SCHEMES or "://" not in url:
        return "does not begin with postgresql://"
    if not all(map(_is_port, _ports(parts.netloc))):
        return "has no usable port (escape special characters of the password as %XX)"
    if parts.fragment:
        return "has a `#` in it (escape special characters of the password as %XX)"
    # Imported here so that showing a masked URL does not cost the load of psycopg.
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.errors import ProgrammingError

    try:
        conninfo_to_dict(url)
    except ProgrammingError as error:
        return _reason(str(error))
    return ""


def _ports(authority: str) -> list[str]:
    """The ports of `user:password@host:port,host:port`."""
    hosts = authority.rpartition("@")[2].split(",")
    named = (host.rpartition("]")[2].rpartition(":") for host in hosts)
    return [port for _, colon, port in named if colon and port]


def _is_port(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= 5 and 0 < int(text) < 65_536


def _reason(message: str) -> str:
    """Libpq's objection without what it quotes, since that may be the password."""
    parameter = re.search(r'URI query parameter: "(\w{1,40})"', message)
    if parameter:
        kind = "valueless" if "missing" in message else "unknown"
        return f"has the {kind} parameter {parameter[1]!r}"
    if "percent-encoded" in message:
        return "has a broken %XX in it"
    return "cannot be read (escape special characters of the password as %XX)"


def _check_passfile(name: str) -> None:
    path = Path(name)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigurationError(
            f"the passfile {name!r} cannot be read: {error.strerror}; check its path"
        ) from error
    if mode & _SHARED_BITS:
        raise ConfigurationError(f"the passfile {name!r} is open to other users; run chmod 600 on it")
