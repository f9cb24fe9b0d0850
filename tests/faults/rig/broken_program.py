"""The program with a deliberate fault, to test the checker: `broken_program.py FAULT [options]`."""

from __future__ import annotations

import itertools
import sys

from sp500tui.pipeline.journal import segment
from sp500tui.pipeline.writer.client import Answer, WriterClient
from sp500tui.pipeline.writer.framing import FrameDecoder
from sp500tui.storage import batch_codec as rowcodec


def forget_batches() -> None:
    """Keep the journal only in memory."""
    segment._write_all = lambda *_: None


def acknowledge_early() -> None:
    """Acknowledge two of three batches as committed without sending them."""
    commit = WriterClient.commit

    def lie(self: WriterClient, number: int, payload: bytes, *rest: object) -> Answer:
        if number % 3:
            return Answer(committed=True, stored=rowcodec.count(payload))
        return commit(self, number, payload, *rest)  # type: ignore[arg-type]

    WriterClient.commit = lie  # type: ignore[method-assign, assignment]


def change_prices() -> None:
    """Drop the last digit of prices."""
    encode = rowcodec.encode

    def rounded(rows: object) -> bytes:
        payload = encode(rows)  # type: ignore[arg-type]
        columns = payload.split(b"\n")
        columns[2] = b"{" + b",".join(price[:-1] for price in columns[2][1:-1].split(b",")) + b"}"
        return b"\n".join(columns)

    rowcodec.encode = rounded


def garble_answers() -> None:
    """Truncate every fifth piece of the writers' responses, and append bytes that are not a frame."""
    feed, pieces = FrameDecoder.feed, itertools.count(1)

    def torn(self: FrameDecoder, piece: bytes) -> None:
        feed(self, piece if next(pieces) % 5 else piece[: len(piece) // 2] + b"\xff\xff\xff\xff" * 99)

    FrameDecoder.feed = torn  # type: ignore[method-assign]


FAULTS = {
    "journal": forget_batches,
    "ack": acknowledge_early,
    "prices": change_prices,
    "frames": garble_answers,
}

if __name__ == "__main__":
    FAULTS[sys.argv.pop(1)]()
    from sp500tui.cli.main import main

    sys.exit(main())
