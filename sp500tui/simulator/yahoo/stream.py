"""The price stream: JSON text frames around base64 protobuf, as `streamer.finance.yahoo.com` sends them."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import struct
from collections.abc import Iterable

from aiohttp import WSMsgType, web

from sp500tui.model import MarketState
from sp500tui.simulator.market.model import Instrument, Market
from sp500tui.simulator.stats import Statistics
from sp500tui.simulator.yahoo.quotes import exchange_names, latest_trade, share_quote

_log = logging.getLogger(__name__)

_EQUITY = 8
"""The stream's number of the quote type."""
_HOURS = {MarketState.PRE: 0, MarketState.REGULAR: 1, MarketState.POST: 2}
_EXTENDED_HOURS = 3
_INTERVAL = 1.0
"""Seconds between two polls of the market."""


class Stream:
    """Sends a frame for every subscribed share that traded since the last one."""

    def __init__(self, market: Market, statistics: Statistics) -> None:
        self._market = market
        self._statistics = statistics

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one client until it disconnects."""
        self._statistics.request("stream")
        socket = web.WebSocketResponse(heartbeat=30.0)
        if not socket.can_prepare(request).ok:
            return web.Response(status=426, text="this is a WebSocket\n")
        await socket.prepare(request)
        seen: dict[str, int] = {}
        wrapped = request.query.get("version") == "2"
        sender = asyncio.create_task(self._send_prices(socket, seen, wrapped))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    _subscribe(message.data, seen)
        finally:
            sender.cancel()
        return socket

    async def _send_prices(self, socket: web.WebSocketResponse, seen: dict[str, int], wrapped: bool) -> None:
        """Send until the client disconnects; after a failure, close the connection rather than leave it idle."""
        try:
            while not socket.closed:
                for frame in self._frames(seen):
                    text = json.dumps({"type": "pricing", "message": frame}) if wrapped else frame
                    await socket.send_str(text)
                    self._statistics.count("stream_frames")
                await asyncio.sleep(_INTERVAL)
        except ConnectionError:
            return
        except Exception:  # noqa: BLE001
            _log.exception("a stream of prices failed")
            await socket.close()

    def _frames(self, seen: dict[str, int]) -> Iterable[str]:
        state = self._market.state()
        for symbol, trades in list(seen.items()):
            instrument = self._market.instrument(symbol)
            if instrument is not None and instrument.trades != trades:
                seen[symbol] = instrument.trades
                yield base64.b64encode(pricing_data(instrument, state)).decode()


def pricing_data(instrument: Instrument, state: MarketState) -> bytes:
    """The latest trade as a serialized `PricingData`; as in all proto3, a zero is left out."""
    fields = share_quote(instrument, state)
    trade = latest_trade(fields)
    price, time = (trade.price, trade.time) if trade else (instrument.today.price, instrument.today.time)
    change = price - instrument.today.previous_close
    parts = [
        _text(1, instrument.symbol),
        _single(2, price),
        signed(3, 1000 * time),
        _text(5, exchange_names(instrument.listing)[0]),
        _number(6, _EQUITY),
        _number(7, _HOURS.get(state, _EXTENDED_HOURS)),
        _single(8, 100 * change / instrument.today.previous_close),
        signed(9, instrument.today.volume),
        _single(10, instrument.today.high),
        _single(11, instrument.today.low),
        _single(12, change),
        _single(15, instrument.today.open),
        _single(16, instrument.today.previous_close),
        signed(27, 2),
    ]
    return b"".join(parts)


def _subscribe(text: str, seen: dict[str, int]) -> None:
    try:
        request = json.loads(text)
        added, removed = request.get("subscribe", []), request.get("unsubscribe", [])
    except (ValueError, AttributeError, RecursionError):
        return
    for symbol in added if isinstance(added, list) else []:
        seen.setdefault(str(symbol).upper(), -1)
    for symbol in removed if isinstance(removed, list) else []:
        seen.pop(str(symbol).upper(), None)


def varint(value: int) -> bytes:
    """A non-negative number as a protobuf varint: seven bits per byte, lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value) if value else b""


def signed(field: int, value: int) -> bytes:
    """A field of type `sint64`."""
    return _number(field, value << 1 if value >= 0 else (-value << 1) - 1)


def _single(field: int, value: float) -> bytes:
    return varint(field << 3 | 5) + struct.pack("<f", value) if value else b""


def _text(field: int, value: str) -> bytes:
    encoded = value.encode()
    return varint(field << 3 | 2) + varint(len(encoded)) + encoded
