"""What the world outside said, made fit for one line of a message."""

from __future__ import annotations

from sp500tui.plain_text import without_passwords

_LONGEST = 160


_PROXY_LOGIN = 407
_UNREACHABLE = frozenset({500, 502, 503, 504})


def proxy_words(status: int, host: str) -> str:
    """What a proxy's refusal of a connection to `host` means, and what to do; one line."""
    if status == _PROXY_LOGIN:
        return (
            "the proxy refused the log-in (407); give a valid user and password, "
            "as in --proxy http://USER:PASSWORD@HOST:PORT"
        )
    if status in _UNREACHABLE:
        return f"the proxy could not reach {host} ({status}); check the proxy, or give another with --proxy"
    return f"the proxy refused to connect to {host} ({status}); ask for access, or give another with --proxy"


def one_line(text: object, longest: int = _LONGEST) -> str:
    """The text on one line without passwords or unprintable characters, cut to `longest` characters."""
    # Cut first as well: a body of megabytes must not be searched.
    words = without_passwords(" ".join(str(text)[: 8 * longest].split()))
    line = "".join(character for character in words if character.isprintable())
    return line if len(line) <= longest else line[: longest - 1] + "…"
