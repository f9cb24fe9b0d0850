"""The model of a cycle over many machines compared with its simulation, and its consequences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.benchmarks.__main__ import ALONE, NAMES, benchmark
from tests.benchmarks.report.figures import TINY, Figure, Spread
from tests.benchmarks.rig import distinct_rows, listed_symbols
from tests.benchmarks.scaling import scaling
from tests.benchmarks.scaling.model import Fleet, Load, Rates, bytes_a_day, cycle_of, fleet_for
from tests.benchmarks.scaling.simulation import simulate

RATES = Rates(broker=20_000, database=30_000, row_bytes=200)


def apart(load: Load, fleet: Fleet, rates: Rates = RATES, seed: int = 1) -> float:
    """The relative difference between the model's cycle and the simulated one."""
    seen = simulate(load, fleet, rates, cycles=2, seed=seed)
    return abs(cycle_of(load, fleet, rates).seconds / (sum(seen.seconds) / 2) - 1)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("symbols", "fleet"),
    [
        (503, Fleet()),
        (503, Fleet(workers=4)),
        (5_000, Fleet(addresses=2)),
        (10_000, Fleet()),
        (10_000, fleet_for(Load(10_000), RATES)),
        (50_000, fleet_for(Load(50_000), RATES)),
        (50_000, Fleet(addresses=40, brokers=1, databases=2)),
    ],
)
def test_model_and_simulation_agree(symbols: int, fleet: Fleet, seed: int) -> None:
    load = Load(symbols)
    assert apart(load, fleet, seed=seed) < 0.1
    assert set(simulate(load, fleet, RATES, cycles=2, seed=seed).periods) == {
        cycle_of(load, fleet, RATES).period
    }


def test_a_slow_database_is_seen_by_both() -> None:
    slow = replace(RATES, database=1_000)
    assert cycle_of(Load(10_000), Fleet(addresses=20), slow).bottleneck == "databases"
    assert apart(Load(10_000), Fleet(addresses=20), slow) < 0.1


def test_every_part_is_as_busy_as_the_model_predicts() -> None:
    load, fleet = Load(20_000), Fleet(addresses=7, brokers=2)
    said, seen = cycle_of(load, fleet, RATES).busy, simulate(load, fleet, RATES, cycles=2, seed=3).busy
    assert seen == pytest.approx(said, rel=0.01)


def test_the_same_seed_gives_the_same() -> None:
    first, again, other = (simulate(Load(2_000), Fleet(), RATES, cycles=2, seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert first.seconds != other.seconds


def test_one_machine_is_enough_for_the_index_and_its_address_is_what_breaks_first() -> None:
    assert fleet_for(Load(503), RATES) == Fleet()
    assert cycle_of(Load(503), Fleet(), RATES).period == 15
    late = cycle_of(Load(10_000), Fleet(), RATES)
    assert late.bottleneck == "addresses"
    assert late.period == 45


def test_cycles_that_take_too_long_are_skipped_not_stacked() -> None:
    load = Load(10_000)
    seen = simulate(load, Fleet(), RATES, cycles=3, seed=1)
    assert all(15 < seconds <= 45 for seconds in seen.seconds)
    assert seen.periods == [45, 45, 45]


@pytest.mark.parametrize("symbols", [503, 10_000, 1_000_000])
def test_what_is_bought_is_enough(symbols: int) -> None:
    load = Load(symbols)
    bought = cycle_of(load, fleet_for(load, RATES), RATES)
    assert bought.period == load.interval
    assert max(bought.busy.values()) <= 0.8


def test_the_table_grows_in_the_session_only() -> None:
    # 1,560 cycles of 15 s in six and a half hours
    assert bytes_a_day(Load(100), RATES, 15) == 1_560 * 100 * 200


def test_the_figures_name_the_first_bottleneck() -> None:
    figures = {figure.metric: figure for figure in scaling.figures_of(Load(40_000), RATES)}
    alone = figures["40,000 symbols every 15 s, one machine as it is: a cycle"]
    assert alone.met
    assert "1 address, 1 broker, 1 PostgreSQL node; a cycle every 165 s; busiest: addresses" in alone.note
    assert figures["40,000 symbols every 15 s, with what it takes: a cycle"].met
    assert figures["40,000 symbols every 15 s: growth of the table"].ours == Spread.of([12.48])


@pytest.mark.thorough
def test_what_one_of_each_does_is_measured() -> None:
    rates, figures = scaling.inputs(TINY)
    assert [figure.metric for figure in figures] == ["a broker", "a PostgreSQL", "a row with its key"]
    assert all(isinstance(figure, Figure) and figure.ours.min > 0 for figure in figures)
    assert 80 < rates.row_bytes < 400


def test_it_is_measured_when_it_is_named() -> None:
    assert benchmark("scaling") is scaling.run
    assert "scaling" in ALONE
    assert "scaling" not in NAMES, "it has a document of its own"


@pytest.mark.processes
def test_a_broker_removes_what_it_handed_out() -> None:
    assert scaling.measure_broker(distinct_rows(200, listed_symbols())) > 100
