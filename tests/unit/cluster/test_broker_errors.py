"""The meaning of the broker's errors, of which some only occur on servers that the tests do not run."""

from __future__ import annotations

import ssl

import pytest
import redis

from sp500tui.cluster.broker.errors import Retryability, describe_error
from sp500tui.logs.redaction import redact


@pytest.mark.parametrize(
    ("error", "words", "retryability"),
    [
        # Redis 7.0 to a long command, where Valkey says NOAUTH.
        (
            redis.ResponseError("Protocol error: unauthenticated multibulk length"),
            "requires a password; set it in the URL",
            Retryability.OPERATOR,
        ),
        (
            redis.AuthenticationError("WRONGPASS invalid username-password pair"),
            "rejects the password; correct it in the URL",
            Retryability.OPERATOR,
        ),
        (
            redis.ResponseError("MISCONF Errors writing to the AOF file"),
            "cannot persist to disk",
            Retryability.TIME,
        ),
        (
            redis.ResponseError("ERR unknown command"),
            "rejects a command: ERR unknown command",
            Retryability.NOTHING,
        ),
        (
            redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
            "holds other data under our keys: choose another --cluster-name",
            Retryability.OPERATOR,
        ),
        (redis.TimeoutError("Timeout reading from socket"), "does not answer", Retryability.TIME),
        (redis.ConnectionError("Connection closed by server."), "cannot be reached: ", Retryability.TIME),
    ],
)
def test_every_refusal_has_a_message_and_a_remedy(
    error: Exception, words: str, retryability: Retryability
) -> None:
    found = describe_error(error)
    assert found.message.startswith(words)
    assert redact(found.message) == found.message, "the log masks none of its words"
    assert found.retryability is retryability


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (9, "presents a certificate that is not valid yet"),
        (23, "presents an invalid certificate (told so): replace it on the broker"),
    ],
)
def test_a_certificate_is_refused_for_a_reason(code: int, words: str) -> None:
    reason = ssl.SSLCertVerificationError()
    reason.verify_code, reason.verify_message = code, "told so."
    error = redis.ConnectionError("Error 1 connecting")
    error.__context__ = reason
    found = describe_error(error)
    assert found.message.startswith(words)
    assert found.retryability is Retryability.OPERATOR
