"""TLS to the broker: certificate files named by its URL, and mismatches between URL and server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from sp500tui.cluster.broker.errors import BrokerError

_TIMEOUT = 2.0
"""Seconds to wait for the server to reveal its protocol."""


def check_files(options: Mapping[str, Any], name: str) -> None:
    """Check that the certificate files named by the broker's URL can be loaded. `options`: those of redis-py.

    Raises:
        BrokerError: one cannot; names the option, the problem and the remedy.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca_certs, certificate = options.get("ssl_ca_certs"), options.get("ssl_certfile")
    if ca_certs:
        _load(
            lambda: context.load_verify_locations(ca_certs),
            f"{name} cannot be contacted: ssl_ca_certs in its URL",
            "contains no certificate",
        )
    if certificate:
        # Without a password OpenSSL would prompt for one on the terminal.
        key, password = options.get("ssl_keyfile"), options.get("ssl_password") or ""
        _load(
            lambda: context.load_cert_chain(certificate, key, password),
            f"{name} cannot be contacted: ssl_certfile with ssl_keyfile in its URL",
            "contains no certificate with its key",
        )


def _load(load: Callable[[], None], option: str, problem: str) -> None:
    try:
        load()
    except ssl.SSLError as error:
        raise BrokerError(f"{option} {problem}; give a PEM file (-----BEGIN …-----)") from error
    except OSError as error:
        raise BrokerError(
            f"{option} cannot be read ({error.strerror}); give a PEM file that this user can read"
        ) from error


def diagnose_tls_mismatch(options: Mapping[str, Any], name: str, *, tls: bool) -> None:
    """Find out why a server closed the connection: TLS on one side only, or a missing client certificate.

    Raises:
        BrokerError: one of these is the cause; names the remedy.
    """
    address = options.get("host", "localhost"), int(options.get("port", 6379))
    if tls and _speaks_plaintext(address):
        raise BrokerError(f"{name} does not use TLS: enable it there, or use redis:// in its URL")
    if not tls and _speaks_tls(address):
        raise BrokerError(f"{name} requires TLS: use rediss:// in its URL")
    if tls and not options.get("ssl_certfile") and _requires_certificate(address):
        raise BrokerError(
            f"{name} requires a client certificate: add it to the URL, "
            "rediss://host:6379/0?ssl_certfile=/path/cert.pem&ssl_keyfile=/path/key.pem"
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


def _requires_certificate(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, _TIMEOUT) as connection, _insecure_tls(connection) as tls:
            tls.recv(1)
    except ssl.SSLError as error:
        return "CERTIFICATE_REQUIRED" in (error.reason or "")
    except OSError:
        pass
    return False


def _insecure_tls(connection: socket.socket) -> ssl.SSLSocket:
    """TLS without verifying the server; no data is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection)
