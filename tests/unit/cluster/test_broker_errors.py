"""What the broker's refusals mean, of which some only come from servers that the tests do not run."""

from __future__ import annotations

import ssl

import pytest
import redis

from sp500tui.cluster.broker.refusals import Retryability, refusal


@pytest.mark.parametrize(
    ("error", "words", "retryability"),
    [
        # Redis 7.0 to a long command, where Valkey says NOAUTH.
        (
            redis.ResponseError("Protocol error: unauthenticated multibulk length"),
            "asks for a password",
            Retryability.OPERATOR,
        ),
        (
            redis.ResponseError("MISCONF Errors writing to the AOF file"),
            "cannot write to its disk",
            Retryability.TIME,
        ),
        (
            redis.ResponseError("ERR unknown command"),
            "refuses a command: ERR unknown command",
            Retryability.NOTHING,
        ),
        (redis.TimeoutError("Timeout reading from socket"), "does not answer", Retryability.TIME),
        (redis.ConnectionError("Connection closed by server."), "cannot be reached: ", Retryability.TIME),
    ],
)
def test_a_refusal_has_words_and_a_cure(error: Exception, words: str, retryability: Retryability) -> None:
    found = refusal(error)
    assert found.words.startswith(words)
    assert found.retryability is retryability


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (9, "shows a certificate that is not valid yet"),
        (23, "shows a certificate that is refused (told so): mend it there"),
    ],
)
def test_a_certificate_is_refused_for_a_reason(code: int, words: str) -> None:
    reason = ssl.SSLCertVerificationError()
    reason.verify_code, reason.verify_message = code, "told so."
    error = redis.ConnectionError("Error 1 connecting")
    error.__context__ = reason
    found = refusal(error)
    assert found.words.startswith(words)
    assert found.retryability is Retryability.OPERATOR
