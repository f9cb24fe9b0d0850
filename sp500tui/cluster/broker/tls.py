"""TLS towards the broker: the files that its URL names, its certificate, and who speaks TLS at all."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from sp500tui.cluster.broker.errors import BrokerError

_TIMEOUT = 2.0
"""Seconds that whoever listens there may take to show what it speaks."""
_FOREIGN_NAME = "shows a certificate for another name ({}): put a name that it holds into the URL"
_UNKNOWN = (
    "shows a certificate that no authority known here has signed ({}): "
    "name its authority in the URL, rediss://…?ssl_ca_certs=/path/ca.pem"
)
_CERTIFICATE = {
    9: "shows a certificate that is not valid yet: mend it, or the clock of either machine",
    10: "shows a certificate that has expired: renew it there",
    18: _UNKNOWN,
    19: _UNKNOWN,
    20: _UNKNOWN,
    21: _UNKNOWN,
    62: _FOREIGN_NAME,
    64: _FOREIGN_NAME,
}
"""OpenSSL's X509_V_ERR_… → what is wrong, and the remedy."""


def check_files(options: Mapping[str, Any], name: str) -> None:
    """Refuse files that cannot be what the broker's URL says they are. `options`: those of redis-py.

    Raises:
        BrokerError: names the option, what is wrong with its file, and the remedy.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority, certificate = options.get("ssl_ca_certs"), options.get("ssl_certfile")
    if authority:
        _use(
            lambda: context.load_verify_locations(authority),
            f"{name} cannot be asked: ssl_ca_certs in its URL",
            "holds no certificate",
        )
    if certificate:
        # Without a password OpenSSL would ask for one on the terminal.
        key, password = options.get("ssl_keyfile"), options.get("ssl_password") or ""
        _use(
            lambda: context.load_cert_chain(certificate, key, password),
            f"{name} cannot be asked: ssl_certfile with ssl_keyfile in its URL",
            "holds no certificate with its key",
        )


def _use(load: Callable[[], None], whose: str, empty: str) -> None:
    try:
        load()
    except ssl.SSLError as error:
        raise BrokerError(f"{whose} {empty}; give a PEM file (-----BEGIN …-----)") from error
    except OSError as error:
        raise BrokerError(
            f"{whose} cannot be read ({error.strerror}); give a PEM file that this user can read"
        ) from error


def refused_certificate(error: BaseException | None) -> str | None:
    """What is wrong with the certificate behind an exception of redis-py; None where that is not the reason."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    if error is None:
        return None
    words = _CERTIFICATE.get(error.verify_code, "shows a certificate that is refused ({}): mend it there")
    return words.format(error.verify_message.rstrip("."))


def check_language(options: Mapping[str, Any], name: str, *, tls: bool) -> None:
    """Find out why a server cut us off: it speaks TLS, speaks none, or wants a certificate of ours.

    Raises:
        BrokerError: it is one of these; names the remedy.
    """
    address = options.get("host", "localhost"), int(options.get("port", 6379))
    if tls and _speaks_plaintext(address):
        raise BrokerError(f"{name} speaks no TLS: switch it on there, or write redis:// in its URL")
    if not tls and _speaks_tls(address):
        raise BrokerError(f"{name} speaks TLS: write rediss:// in its URL")
    if tls and not options.get("ssl_certfile") and _wants_certificate(address):
        raise BrokerError(
            f"{name} wants a certificate of ours: name it in the URL, "
            "rediss://…?ssl_certfile=/path/cert.pem&ssl_keyfile=/path/key.pem"
        )


def _speaks_plaintext(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, _TIMEOUT) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(1) in (b"+", b"-")
    except OSError:
        return False


def _speaks_tls(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, _TIMEOUT) as connection, _insecure_tls(connection):
            return True
    except OSError:
        return False


def _wants_certificate(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, _TIMEOUT) as connection, _insecure_tls(connection) as talk:
            talk.recv(1)
    except ssl.SSLError as error:
        return "CERTIFICATE_REQUIRED" in (error.reason or "")
    except OSError:
        pass
    return False


def _insecure_tls(connection: socket.socket) -> ssl.SSLSocket:
    """TLS with anybody: nothing is told to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection)
