"""The front-end protocol as messages: MessagePack in length-prefixed frames, one answer to every request.

A connection begins with `Hello`, answered by `Welcome` or `Refusal`; these three never change. Later messages may
differ between versions of the protocol. Values of the pipeline are sent unchanged, so a new field needs no code here.
"""

from __future__ import annotations

import threading
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from sp500tui.config.settings import Settings
from sp500tui.errors import ExitCode, Sp500tuiError
from sp500tui.logs.redaction import redact_url
from sp500tui.logs.setup import LogLine
from sp500tui.model import Constituent
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.snapshot import LivePrice, Snapshot
from sp500tui.pipeline.core.timing.second_sample import SecondSample
from sp500tui.pipeline.report import RunReport
from sp500tui.pipeline.writer.framing import encode_frame

PROTOCOL = 1
"""Version of the messages; increased when a message changes its meaning or loses a field."""
MAX_REQUEST = 1 << 20
"""Bytes of one request; more is garbage."""
MAX_ANSWER = 1 << 28
"""Bytes of one answer; more is garbage."""

T = TypeVar("T")


class ProtocolError(Sp500tuiError):
    """The other side sent something that is not a message of this protocol."""


class Hello(msgspec.Struct, tag="hello", frozen=True):
    """The first message of a viewer or a command."""

    protocol: int
    program: str
    """Version of the program."""
    steering: bool = True
    """Whether this connection may send commands that change the pipeline."""


class RunFacts(msgspec.Struct, frozen=True):
    """The settings of the run that a viewer needs."""

    demo: bool
    currency: str
    drain_timeout: float
    """Seconds."""
    broker: str
    """URL of the cluster's broker with the password masked; empty without a cluster."""
    market_speed: float = 1.0
    """Speed of the demo's trading day."""

    @classmethod
    def of(cls, settings: Settings) -> RunFacts:
        """The facts of a run with these settings."""
        broker = redact_url(settings.broker) if settings.broker else ""
        return cls(settings.demo, settings.currency, settings.drain_timeout, broker, settings.market_speed)

    def applied_to(self, settings: Settings) -> Settings:
        """The settings of a viewer: its own for the screen, those of the run for everything else."""
        run = msgspec.structs.asdict(self)
        return settings.model_copy(update=run | {"broker": self.broker or None})


class Welcome(msgspec.Struct, tag="welcome", frozen=True):
    """The answer to `Hello`."""

    protocol: int
    program: str
    pid: int
    """Process id of the pipeline."""
    started: datetime
    """UTC."""
    run: RunFacts

    @property
    def identity(self) -> tuple[int, datetime]:
        """Identifies this run among those on the same data folder."""
        return self.pid, self.started


class Refusal(msgspec.Struct, tag="refusal", frozen=True):
    """Why the connection is closed, in one line."""

    reason: str


class Position(msgspec.Struct, frozen=True):
    """How far a viewer has read each stream; the default is the beginning."""

    prices: int = 0
    """Version of the newest price, see `PipelineControl.prices_since`."""
    lines: int = 0
    """Number of the newest log line."""
    events: int = 0
    """Number of the newest event."""
    constituents: int = 0
    """Revision of the list."""
    seconds: int = 0
    """Number of the newest second, see `PipelineControl.seconds_since`."""


class Update(msgspec.Struct, frozen=True):
    """Everything that is new since a position."""

    position: Position
    """Position of the newest content."""
    snapshot: Snapshot
    prices: tuple[LivePrice, ...] = ()
    """The latest price of every symbol that changed, oldest change first."""
    constituents: tuple[Constituent, ...] | None = None
    """The list if it changed."""
    lines: tuple[LogLine, ...] = ()
    events: tuple[PipelineEvent, ...] = ()
    seconds: tuple[SecondSample, ...] = ()
    """The samples of whole seconds, oldest first."""
    watched: LivePrice | None = None
    """The price of the requested symbol, with the names of its workers."""
    database_url: str | None = None
    has_demo_market: bool = False
    report: RunReport | None = None
    """Once the run has ended."""


class Answer(msgspec.Struct, tag="answer", frozen=True):
    """The result of a request."""

    value: msgspec.Raw


class Failure(msgspec.Struct, tag="failure", frozen=True):
    """Why a request failed, in one line."""

    reason: str
    exit_code: ExitCode = ExitCode.INCOMPLETE


def _encode_other(value: object) -> object:
    """A value without an encoding, as text; the demo market's counters may contain such values."""
    return str(value)


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode_other)


def encode(message: object) -> bytes:
    """A message without a frame. Characters that cannot be encoded, as in undecodable file names, become `?`."""
    try:
        return _encoder.encode(message)
    except UnicodeEncodeError:
        values = msgspec.to_builtins(message, builtin_types=(bytes, datetime, Decimal), enc_hook=_plain_value)
        return _encoder.encode(_encodable(values))


def _plain_value(value: object) -> object:
    return msgspec.msgpack.decode(value) if isinstance(value, msgspec.Raw) else _encode_other(value)


def _encodable(value: Any) -> Any:
    """Built-in values with only encodable text."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(each) for each in value]
    return value


def frame(message: object) -> bytes:
    """A message in its frame."""
    return encode_frame(encode(message))


_decoders: dict[object, msgspec.msgpack.Decoder[Any]] = {}
_one_at_a_time = threading.Lock()


def decoder_of(kind: type[T] | Any) -> msgspec.msgpack.Decoder[T]:
    """The decoder of a type or a union of types; thread-safe.

    msgspec stores its type information on the type, where other threads find it before it is complete: threads that
    decode a type for the first time concurrently can crash the process (seen with msgspec 0.22). So decoders are
    created one at a time, and cached.
    """
    with _one_at_a_time:
        decoder = _decoders.get(kind)
        if decoder is None:
            decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    return decoder


def decode(data: bytes | msgspec.Raw, kind: type[T] | Any) -> T:
    """A message, or any value, of the given type or union of types.

    Raises:
        ProtocolError: it is something else.
    """
    try:
        message: T = decoder_of(kind).decode(data)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise ProtocolError(f"not a message of protocol {PROTOCOL}: {error}") from None
    return message
