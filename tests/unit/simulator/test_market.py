"""The market model: reproducible, finite, consistent, and cheap after a long pause."""

from __future__ import annotations

from math import isfinite, log
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sp500tui.model import MarketState
from sp500tui.simulator.market.clock import OPENING, DemoClock
from sp500tui.simulator.market.currencies import PER_DOLLAR
from sp500tui.simulator.market.instruments import Listing, constituents, extras
from sp500tui.simulator.market.model import Instrument, Market
from tests.unit.simulator.test_clock import NOON, SettableTime

LISTINGS = constituents()
SOME = LISTINGS[:12]


def new_market(
    time: SettableTime,
    seed: int = 1,
    speed: float = 1.0,
    listings: tuple[Listing, ...] = SOME,
    start_at: float = OPENING + 60,
) -> Market:
    return Market(listings, DemoClock(speed, start_at, time), seed)


def known(market: Market, symbol: str) -> Instrument:
    instrument = market.instrument(symbol)
    assert instrument is not None
    return instrument


def prices(market: Market) -> list[tuple[float, int]]:
    days = [known(market, symbol).today for symbol in market.symbols()]
    return [(day.price, day.time) for day in days]


def test_the_whole_index_is_listed_with_plausible_prices() -> None:
    assert len(LISTINGS) == 503
    assert all(0.5 < listing.price < 20_000 and listing.shares > 0 for listing in LISTINGS)
    assert "BRK-B" in new_market(SettableTime(), listings=LISTINGS).symbols()


def test_invented_shares_do_not_collide_with_the_index() -> None:
    invented = {listing.symbol for listing in extras(200)}
    assert len(invented) == 200
    assert invented.isdisjoint({listing.symbol for listing in LISTINGS})


def test_the_same_seed_gives_the_same_prices_however_often_they_are_read() -> None:
    # given two markets with the same seed, one of which is read every second
    slow, quick = SettableTime(), SettableTime()
    rarely, often = new_market(slow), new_market(quick)
    for _ in range(300):
        quick.now += 1
        prices(often)

    # when the other is read once
    slow.now += 300

    # then both have the same prices and times
    assert prices(rarely) == prices(often)


def test_another_seed_gives_other_prices() -> None:
    time = SettableTime()
    assert prices(new_market(time, seed=1)) != prices(new_market(time, seed=2))


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    speed=st.sampled_from([0.5, 1.0, 60.0, 3_600.0, 100_000.0]),
    steps=st.lists(st.floats(0.1, 3_000), min_size=1, max_size=6),
)
def test_prices_stay_finite_positive_and_within_the_days_range(
    seed: int, speed: float, steps: list[float]
) -> None:
    # given any market and any intervals of reading it
    time = SettableTime()
    market = new_market(time, seed, speed, SOME[:3])
    for step in steps:
        time.now += step
        for symbol in market.symbols():
            instrument = known(market, symbol)
            day = instrument.today
            # then all prices are plausible, none is from the future, and the day's range includes them all
            assert isfinite(day.price)
            assert 0 < day.low <= day.price <= day.high
            assert day.low <= day.open <= day.high
            assert day.previous_time < day.time <= time.now
            assert day.volume >= 0
            for trade in filter(None, (instrument.pre, instrument.post)):
                assert trade[0] > 0
                assert day.time <= trade[1] <= time.now


def test_prices_and_times_stand_still_while_the_market_is_closed() -> None:
    # given a market that closed for the night
    time = SettableTime()
    market = new_market(time, start_at=20.5 * 3600)
    before = prices(market)
    trades = [known(market, symbol).trades for symbol in market.symbols()]

    # when five hours pass
    time.now += 5 * 3600

    # then nothing has changed
    assert market.state() is MarketState.CLOSED
    assert prices(market) == before
    assert [known(market, symbol).trades for symbol in market.symbols()] == trades


def test_a_new_day_opens_on_yesterdays_close() -> None:
    # given a market whose day passes in 86.4 s, at its close
    time = SettableTime()
    market = new_market(time, speed=1000, start_at=OPENING)
    time.now += 24
    closing = known(market, "MMM").today

    # when the next day opens
    time.now += 70
    today = known(market, "MMM").today

    # then yesterday's last trade is the previous close, and yesterday is kept as a bar
    assert today.previous_close == closing.price
    assert today.previous_time == closing.time
    assert known(market, "MMM").past[-1] == closing.bar()


def test_memory_does_not_grow_with_the_days() -> None:
    # given five days of 24 minutes each
    time = SettableTime()
    market = new_market(time, speed=60, listings=SOME[:1])
    remembered = []
    for _ in range(5):
        for _ in range(24):
            time.now += 60
            minutes = known(market, "MMM").minutes
        remembered.append(len(list(minutes)))

    # then the minutes are those of the trading sessions, and only the newest are kept
    assert remembered == sorted(remembered)
    assert max(remembered) <= 5 * 24
    known(market, SOME[0].yahoo_symbol).minutes.forget_before(0, most=10)
    assert len(list(known(market, SOME[0].yahoo_symbol).minutes)) == 10
    assert len(known(market, "MMM").past) == 5


def test_large_shares_trade_every_second_or_so_and_small_ones_less() -> None:
    # given the whole index over two minutes
    time = SettableTime()
    market = new_market(time, listings=LISTINGS, start_at=OPENING)
    time.now += 120
    trades = {symbol: known(market, symbol).trades for symbol in market.symbols()}

    # then NVIDIA has traded nearly every second, and the quietest share every few seconds
    assert trades["NVDA"] >= 80
    assert 20 <= min(trades.values()) <= 60


def test_shares_of_a_sector_move_together() -> None:
    # given an hour of trading in two sectors
    time = SettableTime()
    oil = [listing for listing in LISTINGS if listing.sector == "Energy"][:6]
    care = [listing for listing in LISTINGS if listing.sector == "Health Care"][:6]
    market = new_market(time, speed=60, listings=(*oil, *care), start_at=OPENING)
    levels: dict[str, list[float]] = {symbol: [] for symbol in market.symbols()}
    for _ in range(360):
        time.now += 1
        for symbol in levels:
            levels[symbol].append(log(known(market, symbol).today.price))
    moves = {
        symbol: [b - a for a, b in zip(line[::8], line[8::8], strict=False)]
        for symbol, line in levels.items()
    }

    # then two of one sector correlate more than two of different ones, and all a little
    names = [listing.yahoo_symbol for listing in oil], [listing.yahoo_symbol for listing in care]
    within = mean(correlation(moves[a], moves[b]) for a in names[0] for b in names[0] if a < b)
    across = mean(correlation(moves[a], moves[b]) for a in names[0] for b in names[1])
    assert within > across > 0


def correlation(a: list[float], b: list[float]) -> float:
    ma, mb = mean(a), mean(b)
    covariance = sum((x - ma) * (y - mb) for x, y in zip(a, b, strict=True))
    return float(covariance / (sum((x - ma) ** 2 for x in a) * sum((y - mb) ** 2 for y in b)) ** 0.5)


def test_a_long_suspension_is_caught_up_in_bounded_work() -> None:
    # given a market that was not read for a day of trading at real speed
    time = SettableTime()
    market = new_market(time, start_at=OPENING)
    time.now += 6 * 3600

    # then catching up takes at most some 1,800 trades a share instead of 20,000
    assert known(market, "MMM").trades <= 2_000
    assert known(market, "MMM").today.time >= time.now - 120


@pytest.mark.parametrize("asleep", [5_400, 5 * 3_600, 3 * 86_400])
def test_trades_arrive_at_the_usual_rate_after_a_suspension(asleep: int) -> None:
    # given the largest shares, not read for hours, brought up to now
    time = SettableTime()
    market = new_market(time, start_at=OPENING + 1_800)
    large = sorted((known(market, symbol) for symbol in market.symbols()), key=lambda share: share.gap)[:6]
    time.now += asleep
    for share in large:
        known(market, share.symbol)

    # then the newest trade of each is never older than usual in the half minute that follows
    for _ in range(30):
        time.now += 1
        for share in large:
            known(market, share.symbol)
            assert share.today.time >= int(time.now) - share.gap


def test_the_sweep_updates_every_share_within_half_a_minute() -> None:
    # given a market that is not read
    time = SettableTime()
    market = new_market(time, listings=LISTINGS[:100])
    for _ in range(30):
        time.now += 1
        market.sweep()

    # when it is read without advancing anything
    waiting = [instrument.today.time for instrument in market._order]

    # then no symbol is more than a round behind
    assert min(waiting) > time.now - 45


@pytest.mark.parametrize("symbol", ["DKK=X", "USDDKK=X"])
def test_the_dollar_pair_has_its_short_name(symbol: str) -> None:
    pair = new_market(SettableTime()).pair(symbol)
    assert pair is not None
    assert pair.symbol == "DKK=X"
    assert 5 < pair.today.price < 9


@pytest.mark.parametrize("symbol", ["DKK", "XXX=X", "EURXXX=X", "USDUSD=X", "=X", "EURO=X", "AAPL"])
def test_a_pair_of_unknown_currencies_has_no_rate(symbol: str) -> None:
    assert new_market(SettableTime()).pair(symbol) is None


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(sorted(PER_DOLLAR)),
    st.sampled_from(sorted(PER_DOLLAR)),
    st.floats(0, 500_000),
    st.integers(),
)
def test_every_pair_is_positive_and_close_to_its_inverse(
    base: str, target: str, later: float, seed: int
) -> None:
    time = SettableTime(NOON)
    market = new_market(time, seed)
    time.now += later
    pair, inverse = market.pair(f"{base}{target}=X"), market.pair(f"{target}{base}=X")
    if base == target:
        assert pair is inverse is None
        return
    assert pair is not None
    assert inverse is not None
    assert pair.today.low <= pair.today.price <= pair.today.high
    assert pair.today.price * inverse.today.price == pytest.approx(1, rel=1e-5)
    assert pair.today.price == pytest.approx(pair.start_rate, rel=0.25)


def test_the_krone_follows_the_euro() -> None:
    # given a day of rates
    time = SettableTime()
    market = new_market(time)
    rates = []
    for _ in range(24):
        time.now += 3600
        pair = market.pair("EURDKK=X")
        assert pair is not None
        rates.append(pair.today.price)

    # then the cross rate changes only a little, but does change
    assert 1 < max(rates) / min(rates) < 1.005


def test_a_pair_has_a_new_rate_every_other_second() -> None:
    time = SettableTime(NOON)
    market = new_market(time)
    pair = market.pair("DKK=X")
    assert pair is not None
    trades = pair.trades
    for _ in range(10):
        time.now += 0.5
        market.pair("DKK=X")
    assert 2 <= pair.trades - trades <= 3
