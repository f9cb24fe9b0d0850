"""Generates the responses in `recordings/`: the structure of real ones, with invented companies, prices and times.

Run from the project's root: `uv run python -m tests.data.make_recordings`. The files are checked in, so that a test
does not depend on this program.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recordings"
DAY = 86_400
OPENING = 1_777_642_200
"""2026-05-01 13:30 UTC, a Friday: 09:30 in New York."""
CLOSING = OPENING + 23_400
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SECTORS = {
    "Industrials": "Building Products",
    "Financials": "Regional Banks",
    "Information Technology": "Application Software",
    "Health Care": "Biotechnology",
    "Consumer Discretionary": "Restaurants",
    "Consumer Staples": "Brewers",
    "Utilities": "Water Utilities",
    "Real Estate": "Office REITs",
    "Materials": "Gold",
    "Communication Services": "Broadcasting",
    "Energy": "Oil & Gas Drilling",
}
PLACES = (("Quillport", "Oregon"), ("Marrow Bay", "Maine"), ("Ostrava Falls", "Ohio"), ("Dunmere", "Ireland"))


def as_float32(number: float) -> float:
    """Round to single precision and widen to double, like the numbers of real bars."""
    return float(struct.unpack("f", struct.pack("f", number))[0])


def core(symbol: str, state: str) -> dict[str, Any]:
    """The keys present with every value of `fields=`."""
    return {
        "language": "en-US", "region": "US", "quoteType": "EQUITY", "typeDisp": "Equity",
        "quoteSourceName": "Delayed Quote", "triggerable": True, "customPriceAlertConfidence": "HIGH",
        "marketState": state, "regularMarketPrice": 84.17, "regularMarketTime": CLOSING + 1, "tradeable": False,
        "cryptoTradeable": False, "exchange": "NYQ", "exchangeTimezoneName": "America/New_York",
        "exchangeTimezoneShortName": "EDT", "gmtOffSetMilliseconds": -14_400_000, "market": "us_market",
        "esgPopulated": False, "priceHint": 2, "fullExchangeName": "NYSE", "sourceInterval": 15,
        "exchangeDataDelayedBy": 0, "hasPrePostMarketData": True, "firstTradeDateMilliseconds": 701_442_000_000,
        "symbol": symbol,
    }  # fmt: skip


def share(symbol: str, name: str, state: str, **more: Any) -> dict[str, Any]:
    """A complete quote of a share."""
    return core(symbol, state) | {
        "currency": "USD", "shortName": name, "longName": name, "displayName": name,
        "regularMarketChange": 1.36, "regularMarketChangePercent": 1.6423137, "regularMarketDayHigh": 84.9,
        "regularMarketDayRange": "82.4 - 84.9", "regularMarketDayLow": 82.4, "regularMarketVolume": 3_204_118,
        "regularMarketPreviousClose": 82.81, "regularMarketOpen": 82.9, "bid": 84.02, "ask": 84.31, "bidSize": 3,
        "askSize": 2, "financialCurrency": "USD", "averageDailyVolume3Month": 2_917_330,
        "averageDailyVolume10Day": 3_011_240, "fiftyTwoWeekLow": 61.05, "fiftyTwoWeekHigh": 91.44,
        "fiftyTwoWeekRange": "61.05 - 91.44", "fiftyTwoWeekLowChange": 23.12,
        "fiftyTwoWeekLowChangePercent": 0.3787059, "fiftyTwoWeekHighChange": -7.27,
        "fiftyTwoWeekHighChangePercent": -0.0795057, "fiftyTwoWeekChangePercent": 17.25301,
        "fiftyDayAverage": 80.113, "fiftyDayAverageChange": 4.057, "fiftyDayAverageChangePercent": 0.0506410,
        "twoHundredDayAverage": 74.902, "twoHundredDayAverageChange": 9.268,
        "twoHundredDayAverageChangePercent": 0.1237350, "sharesOutstanding": 412_000_000, "bookValue": 19.06,
        "marketCap": 34_678_040_000, "priceToBook": 4.4160547, "epsTrailingTwelveMonths": 3.91,
        "epsCurrentYear": 4.05, "epsForward": 4.4, "priceEpsCurrentYear": 20.782716, "trailingPE": 21.526855,
        "forwardPE": 19.129545, "dividendDate": 1_779_148_800, "dividendRate": 1.2, "dividendYield": 1.43,
        "trailingAnnualDividendRate": 1.15, "trailingAnnualDividendYield": 0.0138872,
        "averageAnalystRating": "2.3 - Buy", "corporateActions": [], "messageBoardId": "finmb_9900001",
    } | more  # fmt: skip


POST = {
    "postMarketPrice": 84.55, "postMarketTime": CLOSING + 9_871, "postMarketChange": 0.38,
    "postMarketChangePercent": 0.4514673,
}  # fmt: skip
PRE = {
    "preMarketPrice": 85.02, "preMarketTime": OPENING - 1_204, "preMarketChange": 0.85, "preMarketChangePercent": 1.01,
    "regularMarketTime": CLOSING - DAY,
}  # fmt: skip
NIGHT = {
    "overnightMarketPrice": 84.7, "overnightMarketTime": CLOSING + 21_600, "overnightMarketChange": 0.53,
    "overnightMarketChangePercent": 0.6296780,
}  # fmt: skip


def pence() -> dict[str, Any]:
    """A share quoted in hundredths of its currency."""
    names = {"financialCurrency": "GBP", "currency": "GBp", "exchange": "LSE", "fullExchangeName": "LSE"}
    quote = share("ZQP.L", "Zelkova Quarries plc", "REGULAR", regularMarketPrice=512.4, **names)
    return {key: value for key, value in quote.items() if not key.startswith("dividend")}


def pair() -> dict[str, Any]:
    """A currency pair whose bid is above its ask."""
    kept = share("EURUSD=X", "EUR/USD", "REGULAR")
    without = (
        "displayName", "financialCurrency", "sharesOutstanding", "bookValue", "marketCap", "priceToBook",
        "epsTrailingTwelveMonths", "epsCurrentYear", "epsForward", "priceEpsCurrentYear", "trailingPE", "forwardPE",
        "dividendDate", "dividendRate", "dividendYield", "trailingAnnualDividendRate", "trailingAnnualDividendYield",
        "averageAnalystRating",
    )  # fmt: skip
    return {key: value for key, value in kept.items() if key not in without} | {
        "quoteType": "CURRENCY", "typeDisp": "Currency", "regularMarketPrice": 1.1203604,
        "regularMarketChange": 0.0011604, "bid": 1.1203604, "ask": 1.1198015, "regularMarketVolume": 0,
        "exchange": "CCY", "fullExchangeName": "CCY", "exchangeTimezoneName": "Europe/London",
        "exchangeTimezoneShortName": "BST", "gmtOffSetMilliseconds": 3_600_000, "market": "ccy_market",
        "hasPrePostMarketData": False, "priceHint": 4, "messageBoardId": "finmb_EUR_X",
    }  # fmt: skip


def dead() -> dict[str, Any]:
    """A symbol that is no longer traded."""
    kept = ("language", "region", "esgPopulated", "tradeable", "cryptoTradeable")
    facts = {key: value for key, value in core("ZQX", "CLOSED").items() if key in kept}
    return facts | {
        "quoteType": "NONE", "triggerable": False, "customPriceAlertConfidence": "NONE", "corporateActions": [],
        "messageBoardId": "finmb_9900009", "hasPrePostMarketData": False, "symbol": "ZQX",
    }  # fmt: skip


def periods(opening: int = OPENING, closing: int = CLOSING) -> dict[str, Any]:
    spans = {
        "pre": (opening - 19_800, opening),
        "regular": (opening, closing),
        "post": (closing, closing + 14_400),
    }
    return {
        name: {"timezone": "EDT", "start": start, "end": end, "gmtoffset": -14_400}
        for name, (start, end) in spans.items()
    }


def chart(times: list[int], interval: str, *, null: int | None = None, **more: Any) -> dict[str, Any]:
    """Bars at these times, on a sine wave; the bar with index `null` has no prices yet."""
    closes = [as_float32(80 + 3 * math.sin(number / 9)) for number in range(len(times))]
    quote: dict[str, list[Any]] = {
        "open": [as_float32(close - 0.11) for close in closes],
        "high": [as_float32(close + 0.23) for close in closes],
        "low": [as_float32(close - 0.31) for close in closes],
        "close": list(closes),
        "volume": [4_000 + 17 * number for number in range(len(times))],
    }
    if null is not None:
        for values in quote.values():
            values[null] = None
    meta = {
        "currency": "USD", "symbol": "ZQA", "exchangeName": "NYQ", "fullExchangeName": "NYSE",
        "instrumentType": "EQUITY", "firstTradeDate": 701_442_000, "regularMarketTime": CLOSING + 1,
        "hasPrePostMarketData": True, "gmtoffset": -14_400, "timezone": "EDT",
        "exchangeTimezoneName": "America/New_York", "regularMarketPrice": 84.17, "fiftyTwoWeekHigh": 91.44,
        "fiftyTwoWeekLow": 61.05, "regularMarketDayHigh": 84.9, "regularMarketDayLow": 82.4,
        "regularMarketVolume": 3_204_118, "longName": "Zelkova Quartz Instruments", "shortName": "Zelkova Quartz",
        "chartPreviousClose": 82.81, "priceHint": 2, "currentTradingPeriod": periods(), "dataGranularity": interval,
        "range": "", "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
    }  # fmt: skip
    indicators: dict[str, Any] = {"quote": [quote]}
    if interval == "1d":
        indicators["adjclose"] = [{"adjclose": [as_float32(close * 0.97) for close in closes]}]
    else:
        days = [OPENING - 2 * DAY, OPENING - DAY, OPENING]
        meta["tradingPeriods"] = [[periods(day, day + 23_400)["regular"]] for day in days]
        meta |= {"previousClose": 82.6, "scale": 3}
    return {"meta": meta, "timestamp": times, "indicators": indicators} | more


def split_year() -> dict[str, Any]:
    """A year of daily bars with a split."""
    days = [OPENING - DAY * number for number in range(364, 0, -1) if (number % 7) not in (5, 6)]
    event = {"date": days[120], "numerator": 3, "denominator": 1, "splitRatio": "3:1"}
    return chart(days, "1d", events={"splits": {str(days[120]): event}})


def minutes() -> dict[str, Any]:
    """A day of one-minute bars, one without prices; the last element is the latest trade of another day."""
    times = [OPENING - DAY + 60 * number for number in range(390)] + [CLOSING]
    answer = chart(times, "1m", null=57)
    for values in answer["indicators"]["quote"][0].values():
        values[-1] = 84.17
    answer["indicators"]["quote"][0]["volume"][-1] = 0
    return answer


def weekend() -> dict[str, Any]:
    """A window in which the exchange was closed: no times."""
    answer = chart([], "1m")
    del answer["timestamp"]
    answer["meta"]["tradingPeriods"] = []
    answer["indicators"] = {"quote": [{}]}
    return answer


def extended() -> dict[str, Any]:
    """Two days of 15-minute bars with the pre- and post-market sessions; the second day closed at 13:00."""
    spans = [periods(OPENING - DAY, CLOSING - DAY), periods(OPENING, OPENING + 12_600)]
    times = [time for day in spans for time in range(day["pre"]["start"], day["post"]["end"], 900)]
    answer = chart(times, "15m", null=3)
    answer["meta"]["tradingPeriods"] = {name: [[day[name]] for day in spans] for name in spans[0]}
    return answer


def running() -> dict[str, Any]:
    """Five days with dividends; the last has the time of its latest trade, and no currency is given."""
    times = [OPENING - DAY * number for number in (4, 3, 2, 1)] + [OPENING + 7_387]
    dividend = {"amount": 0.24, "date": times[1]}
    special = {"amount": 1.1, "date": times[3], "currency": "CAD"}
    gain = {"amount": 0.120001, "date": times[3]}
    events = {
        "dividends": {str(times[1]): dividend, str(times[3]): special},
        "capitalGains": {str(times[3]): gain},
    }
    answer = chart(times, "1d", events=events)
    answer["meta"] |= {"currency": None, "regularMarketTime": times[-1]}
    return answer


def error(envelope: str, code: str, description: str) -> dict[str, Any]:
    return {envelope: {"result": None, "error": {"code": code, "description": description}}}


ERRORS = {
    "quote_401_cookie": {"status": 401, "body": error("finance", "Unauthorized", "Invalid Cookie")},
    "quote_401_feature": {
        "status": 401,
        "body": error("finance", "Unauthorized", "User may not use this feature"),
    },
    "chart_500_wrapped": {
        "status": 500,
        "body": error("finance", "Internal Server Error", "Duplicate key 1"),
    },
    "chart_404": {
        "status": 404,
        "body": error("chart", "Not Found", "No data found, symbol may be delisted"),
    },
    "chart_422_old": {
        "status": 422,
        "body": error(
            "chart",
            "Unprocessable Entity",
            "1m data not available for startTime=1 and endTime=2. "
            "The requested range must be within the last 30 days.",
        ),
    },
    "chart_400_before": {
        "status": 400,
        "body": error("chart", "Bad Request", "Data doesn't exist for startDate = 1, endDate = 2"),
    },
    "quote_429_json": {"status": 429, "body": error("finance", "Too Many Requests", "Rate limit exceeded")},
    "edge_429": {"status": 429, "body": "Edge: Too Many Requests"},
    "text_200": {"status": 200, "body": "Too Many Requests\r\n"},
    "page_999": {
        "status": 999,
        "body": "<html><h1>Sorry, unable to process the request -- error 999</h1></html>",
    },
    "page_403": {"status": 403, "body": "<!DOCTYPE html><html><h1>Access Denied</h1></html>"},
}


def frames() -> list[dict[str, str]]:
    """Messages of the price stream: a cryptocurrency with all fields, and a share before the opening."""
    from yfinance.pricing_pb2 import PricingData

    coin = PricingData(
        id="ZQC-USD", price=412.25, time=OPENING * 1000, currency="USD", exchange="CCC", quote_type=41,
        market_hours=1, change_percent=0.83, day_volume=91_000_000, day_high=415.0, day_low=401.5, change=3.4,
        open_price=408.85, last_size=91_000_000, price_hint=2, vol_24hr=91_000_000, vol_all_currencies=91_000_000,
        from_currency="ZQC", circulating_supply=2.1e7, market_cap=8.65725e9,
    )  # fmt: skip
    stock = PricingData(
        id="ZQA", price=85.02, time=(OPENING - 1_204) * 1000, exchange="NYQ", quote_type=8, change_percent=1.01,
        change=0.85, price_hint=2,
    )  # fmt: skip
    return [{"b64": base64.b64encode(each.SerializeToString()).decode()} for each in (coin, stock)]


def company(number: int) -> dict[str, str]:
    """An invented company of the list."""
    first, second, third = number // 676 % 26, number // 26 % 26, number % 26
    sector = list(SECTORS)[number % len(SECTORS)]
    town, state = PLACES[number % len(PLACES)]
    return {
        "symbol": f"Z{LETTERS[first]}{LETTERS[second]}{LETTERS[third]}" + (".B" if number % 200 == 7 else ""),
        "name": f"Zelkova {LETTERS[second]}{LETTERS[third].lower()}{LETTERS[first].lower()}r",
        "sector": sector, "sub_industry": SECTORS[sector], "town": town, "state": state,
        "added": f"{1980 + number % 46}-{1 + number % 12:02}-{1 + number % 28:02}" if number % 60 else "",
        "cik": f"{9_000_000 + number:010}",
        "founded": f"{1850 + number % 150}" + (f" ({1840 + number % 100})" if number % 9 == 0 else ""),
    }  # fmt: skip


def new_row(each: dict[str, str]) -> str:
    """A row as printed by the article's parser; a name may continue after its link."""
    inner = f'<a href="/wiki/{each["name"].replace(" ", "_")}">{each["name"]}</a>'
    name = f"{inner} Corp." if each["cik"].endswith("3") else inner
    place = f'<a href="/wiki/{each["town"]}">{each["town"]}</a>, <a href="/wiki/{each["state"]}">{each["state"]}</a>'
    note = '<sup class="reference"><a>[<span>5</span>]</a></sup>' if each["cik"].endswith("50") else ""
    return (
        f'<tr>\n<td><a rel="nofollow" class="external text">{each["symbol"]}</a>\n</td>\n<td>{name}{note}</td>\n'
        f"<td>{each['sector']}</td>\n<td>{each['sub_industry'].replace('&', '&amp;')}</td>\n<td>{place}</td>\n"
        f"<td>{each['added']}</td>\n<td>{each['cik']}</td>\n<td>{each['founded']}\n</td></tr>\n"
    )


def old_row(each: dict[str, str]) -> str:
    """A row in the annotated form of an older page, which had a ninth column."""
    name, place = each["name"], f"{each['town']}, {each['state']}"
    cells = (
        f'<a rel="mw:ExtLink nofollow" class="external text">{each["symbol"]}</a>',
        f'<a rel="mw:WikiLink" href="./{name.replace(" ", "_")}" title="{name}">{name}</a>',
        '<a rel="mw:ExtLink nofollow" class="external text">reports</a>',
        each["sector"],
        each["sub_industry"].replace("&", "&amp;"),
        f'<a rel="mw:WikiLink" href="./{each["town"].replace(" ", "_")}" title="{place}">{place}</a>',
        each["added"],
        each["cik"],
        each["founded"],
    )
    return "<tr>" + "".join(f'<td id="mw{n}">{cell}</td>' for n, cell in enumerate(cells)) + "</tr>\n"


CHANGES = """<table class="wikitable sortable" id="changes"><tbody><tr><th rowspan="2">Date</th><th colspan="2">Added
</th><th colspan="2">Removed</th><th rowspan="2">Reason</th></tr><tr><th>Ticker</th><th>Security</th><th>Ticker</th>
<th>Security</th></tr><tr><td>May 1, 2026</td><td>ZAAA</td><td>Zelkova Aaar</td><td></td><td></td><td>Spin-off.</td>
</tr></tbody></table>"""
NEW_HEADERS = (
    "Symbol\n", "Security", "<a>GICS</a> Sector", "GICS Sub-Industry", "Headquarters Location", "Date added", "CIK",
    "Founded\n",
)  # fmt: skip
OLD_HEADERS = (
    "Symbol", "Security", "SEC filings", '<a rel="mw:WikiLink">GICS</a> Sector', "GICS Sub-Industry",
    "Headquarters Location", "Date first added", "CIK", "Founded",
)  # fmt: skip


def page(headers: tuple[str, ...], rows: list[str]) -> str:
    head = "".join(f"<th>{header}</th>" for header in headers)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="UTF-8"><title>Companies</title></head><body>\n'
        f'<table class="wikitable sortable" id="constituents">\n<tbody><tr>{head}</tr>\n{"".join(rows)}</tbody>'
        f"</table>\n{CHANGES}</body></html>\n"
    )


def write(name: str, body: object) -> None:
    path = FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(body, str):
        path.write_text(body, encoding="utf-8")
    else:
        path.write_text(
            json.dumps(body, indent=1 if len(str(body)) < 9_000 else None) + "\n", encoding="utf-8"
        )


def answer(envelope: str, *results: dict[str, Any]) -> dict[str, Any]:
    body = {envelope: {"result": list(results), "error": None}}
    return {"response": {"status": 200, "bodyJson": body}}


def main() -> None:
    """Write all the files."""
    night = share("ZQA", "Zelkova Quartz Instruments", "OVERNIGHT", **POST, **NIGHT)
    before = [
        share(symbol, f"Zelkova {symbol}", "PRE", **PRE) for symbol in ("ZQA", "ZQB.B".replace(".", "-"))
    ]
    closed = [
        share("ZQA", "Zelkova Quartz Instruments", "CLOSED", **POST),
        share("ZQB-B", "Zelkova B", "CLOSED"),
    ]
    only_symbol = {key: value for key, value in core("ZQA", "CLOSED").items() if key != "triggerable"}
    write("yahoo/2026_quote-closed.json", answer("quoteResponse", *closed))
    write("yahoo/2026_quote-pre.json", answer("quoteResponse", *before))
    write("yahoo/2026_quote-overnight.json", answer("quoteResponse", night))
    write("yahoo/2026_quote-pence.json", answer("quoteResponse", pence()))
    write("yahoo/2026_quote-pair.json", answer("quoteResponse", pair()))
    write("yahoo/2026_quote-dead.json", answer("quoteResponse", dead()))
    write(
        "yahoo/2026_quote-fields-beta.json", answer("quoteResponse", core("ZQA", "CLOSED") | {"beta": 0.91})
    )
    write("yahoo/2026_quote-fields-symbol.json", answer("quoteResponse", only_symbol))
    write("yahoo/2026_chart-day.json", answer("chart", chart([OPENING - DAY], "1d")))
    write("yahoo/2026_chart-split.json", answer("chart", split_year()))
    write("yahoo/2026_chart-minutes.json", answer("chart", minutes()))
    write("yahoo/2026_chart-weekend.json", answer("chart", weekend()))
    write("yahoo/2026_chart-extended.json", answer("chart", extended()))
    write("yahoo/2026_chart-running.json", answer("chart", running()))
    write("yahoo/error_bodies.json", ERRORS)
    write("yahoo/ws_pricing_frames.json", {"frames": frames()})
    companies = [company(number) for number in range(420)]
    write("wikipedia/new_style.html", page(NEW_HEADERS, [new_row(each) for each in companies]))
    write("wikipedia/old_style.html", page(OLD_HEADERS, [old_row(each) for each in companies]))


if __name__ == "__main__":
    main()
