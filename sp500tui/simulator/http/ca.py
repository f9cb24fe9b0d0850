"""A certificate authority in memory; its private key is never written to disk."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

import trustme


class Authority:
    """Issues one certificate for the given host names."""

    def __init__(self, hosts: Iterable[str]) -> None:
        authority = trustme.CA(organization_name="sp500tui demo market")
        self.certificate_pem: bytes = authority.cert_pem.bytes()
        """The CA certificate, which clients must trust; contains no key."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        """TLS context of the simulated hosts."""
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        authority.issue_cert(*hosts).configure_cert(self.context)
