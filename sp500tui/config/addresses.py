"""Addresses to listen on, as `HOST:PORT`."""

from __future__ import annotations

from urllib.parse import urlsplit


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; the host of an IPv6 address is in brackets, `[::1]:9464`.

    Raises:
        ValueError: it is not such an address; the message has the remedy.
    """
    remedy = "give a host and a port such as 127.0.0.1:9464"
    if "/" in address or "@" in address or not address.isprintable() or " " in address:
        raise ValueError(f"is not HOST:PORT; {remedy}")
    try:
        parts = urlsplit(f"//{address}")
        port = parts.port
    except ValueError:
        raise ValueError(f"is not HOST:PORT with a port from 1 to 65535; {remedy}") from None
    if not parts.hostname or not port:
        raise ValueError(f"is not HOST:PORT with a port from 1 to 65535; {remedy}")
    return parts.hostname, port
