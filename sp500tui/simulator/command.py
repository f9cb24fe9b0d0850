"""`sp500tui simulate`: the demo market in the foreground, or as the child of another process."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING

from sp500tui.errors import ConfigurationError, ExitCode, Sp500tuiError
from sp500tui.logs.redaction import plain, shown_value
from sp500tui.logs.standard_streams import OutputError, write_message, write_output
from sp500tui.simulator.faults import LONGEST_VALUE, TOKEN_HEADER, Faults, replace_old_names

if TYPE_CHECKING:
    from sp500tui.simulator.http.server import MarketOptions

CA_FILE = "demo-market-ca.pem"
_USAGE = """The demo market simulates Wikipedia and Yahoo Finance with invented prices. No request leaves this machine.

  export HTTPS_PROXY={address}
  export SSL_CERT_FILE={ca}
  export CURL_CA_BUNDLE={ca} REQUESTS_CA_BUNDLE={ca}

In that shell, curl, requests and yfinance then use it:

  curl 'https://query1.finance.yahoo.com/v8/finance/chart/AAPL?range=5d'

Faults:
  curl --noproxy '*' -H '{header}: {token}' -d '{{"throttle": 0.5}}' {address}/faults

Events (split, dividend, rename, change):
  curl --noproxy '*' -H '{header}: {token}' -d '{{"kind": "change", "added": "NEWCO"}}' {address}/events

Press Ctrl-C to stop."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the demo market."""
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="port on 127.0.0.1 (default: a free one)"
    )
    parser.add_argument(
        "--speed",
        "--market-speed",
        type=float,
        default=1.0,
        metavar="X",
        help="speed of the trading day (default: 1, real time)",
    )
    parser.add_argument(
        "--seed",
        "--market-seed",
        type=int,
        default=None,
        metavar="N",
        help="random seed; the same seed gives the same prices and faults",
    )
    parser.add_argument(
        "--latency",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="delay of every response in seconds (default: 0)",
    )
    parser.add_argument(
        "--start-at",
        default="09:30:20",
        metavar="HH:MM[:SS]",
        help="New York time at which the market starts (default: 09:30:20)",
    )
    parser.add_argument(
        "--extra-symbols",
        type=int,
        default=0,
        metavar="N",
        help="number of additional invented shares",
    )
    parser.add_argument(
        "--ledger", type=Path, default=None, metavar="FILE", help="append every served quote to this file"
    )
    parser.add_argument(
        "--faults", default="{}", metavar="JSON", help='faults to inject, such as {"throttle": 0.2}'
    )
    parser.add_argument("--ca-dir", type=Path, default=None, metavar="DIR", help=f"folder for {CA_FILE}")
    parser.add_argument("--json", action="store_true", help="print the addresses as one line of JSON")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)


Ended = asyncio.Future[ExitCode]
"""Completed with the exit code when the market should stop."""


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP, as a child until its parent exits; returns the exit code."""
    try:
        return asyncio.run(_serve(args))
    except Sp500tuiError as error:
        if args.child:
            with suppress(OutputError):
                write_output(json.dumps({"error": str(error)}) + "\n")
        else:
            write_message(plain(f"simulate: {error}"))
        return int(error.exit_code)


async def _serve(args: argparse.Namespace) -> int:
    from sp500tui.simulator.http.server import MarketServer

    server = MarketServer(_options(args))
    folder = None
    try:
        await server.start()
        folder = args.ca_dir or _temporary_folder()
        ca_file = folder / CA_FILE
        _write_certificate(ca_file, server.certificate_pem)
        ended: Ended = asyncio.get_running_loop().create_future()
        if args.child:
            await _end_with_parent(ended)
        else:
            _end_on_signal(ended, signal.SIGINT, ExitCode.SIGINT)
        _end_on_signal(ended, signal.SIGTERM, ExitCode.SIGTERM)
        _end_on_signal(ended, signal.SIGHUP, ExitCode.SIGTERM)
        _announce(args, server.port, server.token, ca_file)
        return int(await ended)
    finally:
        await server.close()
        if folder is not None:
            with suppress(OSError):
                (folder / CA_FILE).unlink()
            if args.ca_dir is None:
                shutil.rmtree(folder, ignore_errors=True)


def _options(args: argparse.Namespace) -> MarketOptions:
    from sp500tui.simulator.http.server import MarketOptions

    _check_range("--port", args.port, 0, 65_535)
    _check_range("--speed", args.speed, 1e-6, 100_000)
    _check_range("--extra-symbols", args.extra_symbols, 0, 99_999)
    try:
        values, warnings = replace_old_names(json.loads(args.faults))
    except (ValueError, RecursionError):
        shown = shown_value(args.faults)
        raise ConfigurationError(f"--faults '{shown}' is not valid JSON; use {{}} for none") from None
    for warning in warnings:
        write_message(plain(f"simulate: warning: {warning}"))
    faults = Faults.parse(values)
    if args.latency:
        faults = Faults.parse({**faults.as_json(), "latency": args.latency})
    return MarketOptions(
        port=args.port,
        speed=args.speed,
        seed=args.seed,
        start_at=parse_time(args.start_at),
        extra_symbols=args.extra_symbols,
        ledger=args.ledger,
        faults=faults,
    )


def parse_time(text: str) -> int:
    """`HH:MM` or `HH:MM:SS` as seconds after midnight.

    Raises:
        ConfigurationError: the text is not a time of day.
    """
    moment: time | None = None
    with suppress(ValueError):
        moment = time.fromisoformat(text)
    if moment is None or moment.tzinfo is not None:
        raise ConfigurationError(
            f"--start-at '{shown_value(text)}' is not a time of day in New York; use one such as 15:59"
        )
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def _check_range(option: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        shown = str(value)[:LONGEST_VALUE] if isinstance(value, int) else f"{value:g}"
        raise ConfigurationError(f"{option} {shown}: use a number from {lowest:g} to {highest:g}")


def _temporary_folder() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="sp500tui-market-"))
    except OSError as error:
        raise ConfigurationError(
            f"there is no temporary folder for the demo market: {error.strerror}; set TMPDIR to one that can be written"
        ) from None


def _write_certificate(path: Path, pem: bytes) -> None:
    try:
        path.write_bytes(pem)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {path}: {error.strerror}; choose a writable folder with --ca-dir"
        ) from error


def _end_on_signal(ended: Ended, number: signal.Signals, code: ExitCode) -> None:
    if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` sets it for SIGHUP
        asyncio.get_running_loop().add_signal_handler(number, _end, ended, code)


def _end(ended: Ended, code: ExitCode) -> None:
    if not ended.done():
        ended.set_result(code)


async def _end_with_parent(ended: Ended) -> None:
    """Stop when stdin closes, which happens when the parent exits; Ctrl-C is handled by the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    class ParentWatch(asyncio.Protocol):
        def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
            _end(ended, ExitCode.OK)

    await asyncio.get_running_loop().connect_read_pipe(ParentWatch, sys.stdin)


def _announce(args: argparse.Namespace, port: int, token: str, ca_file: Path) -> None:
    address = f"http://127.0.0.1:{port}"
    if args.json or args.child:
        ready = {
            "proxy_url": address,
            "control_url": address,
            "ca_file": str(ca_file),
            "token": token,
            "pid": os.getpid(),
        }
        text = json.dumps(ready)
    else:
        text = _USAGE.format(address=address, ca=ca_file, token=token, header=TOKEN_HEADER)
    write_output(text + "\n")
