"""The TLS proxy of the tests ends its connections when it is closed."""

from __future__ import annotations

import asyncio
import socket
import ssl

from tests.support.cluster.tls_proxy import Authority, MakeTlsProxy


def test_no_task_is_left_when_clients_connect_while_the_proxy_closes(
    make_tls_proxy: MakeTlsProxy, authority: Authority
) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))
    for _ in range(20):
        proxy = make_tls_proxy()
        clients = [
            context.wrap_socket(
                socket.create_connection(("127.0.0.1", proxy.port)), server_hostname="localhost"
            )
            for _ in range(2)
        ]

        proxy.close()

        assert not asyncio.all_tasks(proxy.loop)
        for client in clients:
            client.close()
