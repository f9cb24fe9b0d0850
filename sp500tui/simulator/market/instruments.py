"""Instruments of the demo market: the constituents with plausible starting prices."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from datetime import date
from importlib import resources

_NASDAQ_SECTORS = frozenset({"Information Technology", "Communication Services"})


@dataclass(frozen=True, slots=True)
class Listing:
    """One listed share, before the first trade."""

    symbol: str
    """As listed: `BRK.B`."""
    name: str
    sector: str
    sub_industry: str
    headquarters: str
    date_added: str
    """ISO date."""
    cik: str
    founded: str
    price: float
    """Previous close at the first opening, USD."""
    shares: int
    """Shares outstanding."""
    nasdaq: bool
    """Listed at Nasdaq; at the New York Stock Exchange otherwise."""

    @property
    def yahoo_symbol(self) -> str:
        """As Yahoo Finance spells it: `BRK-B`."""
        return self.symbol.replace(".", "-")


def fraction(*parts: object) -> float:
    """A number in [0, 1) derived from `parts` by a hash; the same on every machine."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def constituents() -> tuple[Listing, ...]:
    """The constituents bundled with the package; missing prices are derived from the symbol."""
    text = resources.files("sp500tui.sources.wikipedia").joinpath("constituents.csv").read_text("utf-8")
    return tuple(_listing(row) for row in csv.DictReader(text.splitlines()))


def extras(count: int) -> tuple[Listing, ...]:
    """Invented shares `X00001`… in addition to the index, for larger loads."""
    sectors = sorted({listing.sector for listing in constituents()})
    return tuple(_extra(f"X{number:05d}", sectors[number % len(sectors)]) for number in range(1, count + 1))


def invented_listing(symbol: str, day: date) -> Listing:
    """An invented company that joins the index on a day."""
    price = _invented_price(symbol)
    return Listing(
        symbol=symbol,
        name=f"Newcomer {symbol.title()}",
        sector="Industrials",
        sub_industry="Industrial Conglomerates",
        headquarters="Nowhere, Delaware",
        date_added=day.isoformat(),
        cik=f"{8_000_000_000 + int(fraction(symbol, 'cik') * 1e9)}",
        founded=str(day.year),
        price=price,
        shares=round(_invented_capital(symbol) / price),
        nasdaq=False,
    )


def _listing(row: dict[str, str]) -> Listing:
    symbol = row["symbol"]
    price = float(row["price_usd"] or _invented_price(symbol))
    capital = float(row["market_cap_usd"] or _invented_capital(symbol))
    return Listing(
        symbol=symbol,
        name=row["security"],
        sector=row["gics_sector"],
        sub_industry=row["gics_sub_industry"],
        headquarters=row["headquarters"],
        date_added=row["date_added"],
        cik=row["cik"],
        founded=row["founded"],
        price=price,
        shares=round(capital / price),
        nasdaq=row["gics_sector"] in _NASDAQ_SECTORS,
    )


def _extra(symbol: str, sector: str) -> Listing:
    price = _invented_price(symbol)
    return Listing(
        symbol=symbol,
        name=f"Invented Holding {symbol[1:]}",
        sector=sector,
        sub_industry="Invented Holdings",
        headquarters="Nowhere, Delaware",
        date_added="2026-01-02",
        cik=f"9{symbol[1:]:>09}",
        founded="2026",
        price=price,
        shares=round(_invented_capital(symbol) / price),
        nasdaq=False,
    )


def _invented_price(symbol: str) -> float:
    return round(20 * 20 ** fraction(symbol, "price"), 2)


def _invented_capital(symbol: str) -> float:
    return 1e10 * 10 ** fraction(symbol, "capital")
