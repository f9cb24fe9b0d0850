"""`sp500tui simulate`: the demo market in the foreground, for people and for parent processes."""

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
from sp500tui.logs.standard_streams import OutputError, write_message, write_output
from sp500tui.simulator.faults import TOKEN_HEADER, Faults

if TYPE_CHECKING:
    from sp500tui.simulator.http.server import MarketOptions

CA_FILE = "demo-market-ca.pem"
_USAGE = """The demo market answers for Wikipedia and Yahoo Finance. Invented prices; nothing leaves this machine.

  export HTTPS_PROXY={address}
  export SSL_CERT_FILE={ca}
  export CURL_CA_BUNDLE={ca} REQUESTS_CA_BUNDLE={ca}

Then, in that shell, curl, requests and yfinance talk to it:

  curl 'https://query1.finance.yahoo.com/v8/finance/chart/AAPL?range=5d'

Faults:
  curl --noproxy '*' -H '{header}: {token}' -d '{{"throttle": 0.5}}' {address}/faults

Ctrl-C ends it."""


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
        help="how many times faster its day passes",
    )
    parser.add_argument(
        "--seed",
        "--market-seed",
        type=int,
        default=None,
        metavar="N",
        help="the same seed, the same prices and faults",
    )
    parser.add_argument(
        "--latency", type=float, default=0.0, metavar="SECONDS", help="how long every answer waits"
    )
    parser.add_argument(
        "--start-at", default="09:30:20", metavar="HH:MM[:SS]", help="New York time it starts at"
    )
    parser.add_argument(
        "--extra-symbols", type=int, default=0, metavar="N", help="invented shares X00001 and so on"
    )
    parser.add_argument(
        "--ledger", type=Path, default=None, metavar="FILE", help="append every quote handed out"
    )
    parser.add_argument(
        "--faults", default="{}", metavar="JSON", help='what goes wrong, such as {"throttle": 0.2}'
    )
    parser.add_argument("--ca-dir", type=Path, default=None, metavar="DIR", help=f"folder for {CA_FILE}")
    parser.add_argument("--json", action="store_true", help="print the addresses as one line of JSON")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)


Ended = asyncio.Future[ExitCode]
"""Done with the exit code once the market is to end."""


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP, or as a child until its parent is gone; returns the exit code."""
    try:
        return asyncio.run(_serve(args))
    except Sp500tuiError as error:
        if args.child:
            with suppress(OutputError):
                write_output(json.dumps({"error": str(error)}) + "\n")
        else:
            with suppress(OutputError):
                write_message(f"simulate: {error}")
        return int(error.exit_code)


async def _serve(args: argparse.Namespace) -> int:
    from sp500tui.simulator.http.server import MarketServer

    server = MarketServer(_options(args))
    folder = None
    try:
        await server.start()
        folder = Path(args.ca_dir or tempfile.mkdtemp(prefix="sp500tui-market-"))
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
            (folder / CA_FILE).unlink(missing_ok=True)
            if args.ca_dir is None:
                shutil.rmtree(folder, ignore_errors=True)


def _options(args: argparse.Namespace) -> MarketOptions:
    from sp500tui.simulator.http.server import MarketOptions

    _check_range("--port", args.port, 0, 65_535)
    _check_range("--speed", args.speed, 1e-6, 100_000)
    _check_range("--extra-symbols", args.extra_symbols, 0, 99_999)
    try:
        wished = json.loads(args.faults)
    except ValueError as error:
        raise ConfigurationError(
            f"--faults {args.faults!r} is no JSON ({error}); write {{}} for none"
        ) from error
    faults = Faults.parse(wished)
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
        ConfigurationError: It is no time of day.
    """
    try:
        moment = time.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"--start-at {text!r} is no time of day; write one such as 15:59") from error
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def _check_range(option: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        shown = value if isinstance(value, int) else f"{value:g}"
        raise ConfigurationError(f"{option} {shown}: use a number from {lowest:g} to {highest:g}")


def _write_certificate(path: Path, pem: bytes) -> None:
    try:
        path.write_bytes(pem)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {path}: {error.strerror}; name a folder of yours with --ca-dir"
        ) from error


def _end_on_signal(ended: Ended, number: signal.Signals, code: ExitCode) -> None:
    if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` sets it for SIGHUP
        asyncio.get_running_loop().add_signal_handler(number, _end, ended, code)


def _end(ended: Ended, code: ExitCode) -> None:
    if not ended.done():
        ended.set_result(code)


async def _end_with_parent(ended: Ended) -> None:
    """End at the end of stdin, which comes with the parent's; Ctrl-C is the parent's to judge."""
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
