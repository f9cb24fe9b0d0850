"""Messages for connections refused by a proxy."""

from __future__ import annotations

_PROXY_LOGIN = 407
_UNREACHABLE = frozenset({500, 502, 503, 504})


def proxy_error_message(status: int, host: str) -> str:
    """Why the proxy refused a connection to `host`, and the remedy, in one line."""
    if status == _PROXY_LOGIN:
        return "the proxy refused the log-in (407); give a valid user and password in the URL of --proxy"
    if status in _UNREACHABLE:
        return f"the proxy could not reach {host} ({status}); check the proxy, or give another with --proxy"
    return f"the proxy refused to connect to {host} ({status}); ask for access, or give another with --proxy"
