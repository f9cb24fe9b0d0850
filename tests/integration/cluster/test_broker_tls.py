"""The broker over TLS: trusted certificates, the message of each refusal, and a connection that is cut."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.errors import BrokerAwayError, BrokerError
from sp500tui.errors import ExitCode
from sp500tui.pipeline.core.snapshot import Health
from tests.support.cluster.broker_work import assert_work_survives, queue_on
from tests.support.cluster.tls_proxy import Authority, MakeTlsProxy, TlsProxy
from tests.support.cluster.valkey import ValkeyServer, new_server
from tests.support.ports import free_port
from tests.support.waiting import Wait

SERVICE = 60.0
"""Seconds of retries; a test that retries a permanent error exceeds its own limit."""


@pytest.fixture
def proxy(make_tls_proxy: MakeTlsProxy) -> TlsProxy:
    return make_tls_proxy()


@pytest.fixture
def secure(proxy: TlsProxy, authority: Authority) -> Iterator[Broker]:
    """An open broker over TLS, in a namespace that is unique to this test's port."""
    broker = Broker(proxy.url(authority.file), f"test-{proxy.port}")
    broker.open()
    yield broker
    broker.close()


def refused(url: str) -> str:
    """The message of the permanent error on a start with this URL, which has a password."""
    with pytest.raises(BrokerError) as refusal:
        Broker(url, "test", timeout=2.0).open(retry_for=SERVICE)
    words = str(refusal.value)
    assert not isinstance(refusal.value, BrokerAwayError)
    assert refusal.value.exit_code is ExitCode.DATABASE
    assert "\n" not in words
    address = url.replace(":s3cret@", ":***@")
    assert words.startswith(f"the broker at {address} ")
    return words.removeprefix(f"the broker at {address} ")


class TestTrustedCertificates:
    def test_items_pass_through_a_queue_in_a_loop(self, secure: Broker, proxy: TlsProxy) -> None:
        queue = queue_on(secure)
        queue.put([1, 2, 3])
        lease = queue.take(5)
        assert lease is not None
        assert lease.items == [1, 2, 3]
        assert lease.ack()
        assert (queue.reading().total_in, queue.reading().total_out, queue.depth().in_flight) == (3, 3, 0)
        assert proxy.connections >= 1

    def test_an_authority_of_the_system_is_trusted(
        self, proxy: TlsProxy, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        broker = Broker(proxy.url(host="localhost"), "test")
        broker.open()
        broker.close()

    def test_a_broker_may_require_a_client_certificate(
        self, proxy: TlsProxy, authority: Authority, tmp_path: Path
    ) -> None:
        proxy.context.verify_mode = ssl.CERT_REQUIRED
        proxy.context.load_verify_locations(authority.file)
        file = tmp_path / "us.pem"
        authority.certificate("us").private_key_and_cert_chain_pem.write_to_path(str(file))
        broker = Broker(proxy.url(authority.file) + f"&ssl_certfile={file}", "test")
        broker.open()
        broker.close()

    @pytest.mark.parametrize("where", ["in the URL", "in the setting"])
    def test_the_password_is_sent_over_tls(
        self, make_tls_proxy: MakeTlsProxy, authority: Authority, where: str
    ) -> None:
        server = new_server(password="s3cret")
        try:
            proxy = make_tls_proxy(broker=server)
            url = proxy.url(authority.file, password="s3cret" if where == "in the URL" else "")
            broker = Broker(url, "test", password="s3cret" if where == "in the setting" else None)
            broker.open()
            assert "s3cret" not in broker.address
            broker.close()
            with pytest.raises(BrokerError, match="rejects the password"):
                Broker(proxy.url(authority.file), "test", password="wr0ng").open(retry_for=SERVICE)
        finally:
            server.close()


class TestWhatIsRefused:
    def test_a_certificate_of_an_unknown_authority(self, proxy: TlsProxy, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        stranger = Authority(tmp_path / "other" / "ca.pem")
        for url in (proxy.url(password="s3cret"), proxy.url(stranger.file, password="s3cret")):
            words = refused(url)
            assert words.startswith("presents a certificate signed by an unknown authority")
            assert words.endswith(
                "name its CA certificate in the URL, rediss://host:6379/0?ssl_ca_certs=/path/ca.pem"
            )

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_a_certificate_for_another_name(
        self, make_tls_proxy: MakeTlsProxy, authority: Authority, host: str
    ) -> None:
        proxy = make_tls_proxy("elsewhere.example")
        words = refused(proxy.url(authority.file, host=host, password="s3cret"))
        assert words.startswith("presents a certificate for another host name (")
        assert f"'{host}'" in words
        assert words.endswith("use a name from the certificate in the URL")

    def test_a_certificate_that_has_expired(self, make_tls_proxy: MakeTlsProxy, authority: Authority) -> None:
        proxy = make_tls_proxy(expired=True)
        words = refused(proxy.url(authority.file, password="s3cret"))
        assert words == "presents an expired certificate: renew it on the broker"

    def test_a_broker_with_tls_and_a_url_without(self, proxy: TlsProxy) -> None:
        words = refused(f"redis://:s3cret@127.0.0.1:{proxy.port}/0")
        assert words == "requires TLS: use rediss:// in its URL"

    def test_a_broker_without_tls_and_a_url_with_it(self, valkey: ValkeyServer) -> None:
        words = refused(f"rediss://:s3cret@127.0.0.1:{valkey.port}/0")
        assert words == "does not use TLS: enable it there, or use redis:// in its URL"

    def test_a_missing_file_or_one_without_a_certificate(self, proxy: TlsProxy, tmp_path: Path) -> None:
        absent, empty = tmp_path / "absent.pem", tmp_path / "empty.pem"
        empty.write_text("no certificate\n")
        start = "cannot be contacted: ssl_ca_certs in its URL"
        assert refused(proxy.url(absent, password="s3cret")) == (
            f"{start} cannot be read (No such file or directory); give a PEM file that this user can read"
        )
        assert refused(proxy.url(empty, password="s3cret")) == (
            f"{start} contains no certificate; give a PEM file (-----BEGIN …-----)"
        )

    def test_a_key_that_does_not_match_the_certificate(
        self, proxy: TlsProxy, authority: Authority, tmp_path: Path
    ) -> None:
        certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
        authority.certificate("me").cert_chain_pems[0].write_to_path(str(certificate))
        authority.certificate("me").private_key_pem.write_to_path(str(key))
        url = proxy.url(authority.file, password="s3cret") + f"&ssl_certfile={certificate}&ssl_keyfile={key}"
        assert "ssl_keyfile in its URL contains no certificate with its key" in refused(url)


@pytest.fixture
def suspicious(authority: Authority) -> Iterator[int]:
    """The port of a server that requires a client certificate, like Redis by default, and reports a missing one."""
    context = authority.context(authority.certificate())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    with socket.create_server(("127.0.0.1", free_port())) as listener:

        def refuse_all() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with suppress(OSError), context.wrap_socket(connection, server_side=True) as talk:
                        talk.recv(1)

        thread = threading.Thread(target=refuse_all, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_a_broker_that_requires_a_client_certificate_is_recognized(
    suspicious: int, authority: Authority
) -> None:
    words = refused(f"rediss://:s3cret@127.0.0.1:{suspicious}/0?ssl_ca_certs={authority.file}")
    assert words.startswith(
        "requires a client certificate: add it to the URL, rediss://host:6379/0?ssl_certfile="
    )


class TestAConnectionThatIsCut:
    def test_nothing_is_lost_or_duplicated(self, secure: Broker, proxy: TlsProxy, eventually: Wait) -> None:
        def cut() -> None:
            proxy.stop()
            eventually(lambda: secure.health()[0] is Health.DOWN)
            proxy.start()

        assert_work_survives(secure, eventually, cut)

    def test_a_certificate_that_expires_under_load_is_waited_for(
        self, secure: Broker, proxy: TlsProxy, authority: Authority, eventually: Wait
    ) -> None:
        # given a proxy that is restarted with an expired certificate while a worker has work to do
        queue, good = queue_on(secure), proxy.context
        proxy.stop()
        proxy.context = authority.context(authority.certificate(expired=True))
        proxy.start()
        put = threading.Thread(target=queue.put, args=([1],), daemon=True)
        put.start()
        eventually(lambda: "expired certificate: renew it on the broker" in secure.health()[1])

        # when it is renewed
        proxy.stop()
        proxy.context = good
        proxy.start()
        put.join(10)

        # then nothing was lost
        assert queue.depth().ready == 1
        assert secure.health() == (Health.OK, "", None)
