"""Faults: valid values and frequencies."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.errors import ConfigurationError
from sp500tui.simulator.faults import Faults, FaultSampler, replace_old_names


def ignore(name: str) -> None:
    """Counts nothing."""


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"thottle": 1}, "thottle"),
        ({"throttle": 1.5}, "throttle=1.5"),
        ({"throttle": -0.1}, "throttle=-0.1"),
        ({"throttle": True}, "throttle=True"),
        ({"throttle": "often"}, "throttle='often'"),
        ({"latency": float("nan")}, "latency=nan"),
        ({"latency": 601}, "0 to 600"),
        ({"latency": 10**400}, "0 to 600"),
        ({"latency": float("inf")}, "latency=inf"),
        ({"latency": None}, "latency=None"),
        ({"wikipedia": "gone"}, "down, garbled, forbidden"),
        ({"fx": 1}, "missing, zero, old"),
        ({"limits": {"drop": -1}}, "limits"),
        ({"limits": {"drop": 1.5}}, "limits"),
        ({"limits": 3}, "limits"),
        ([], "JSON object"),
        ("throttle", "JSON object"),
    ],
)
def test_impossible_faults_are_refused_by_name(values: object, named: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Faults.parse(values)
    assert named in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_faults_round_trip_through_json() -> None:
    faults = Faults(throttle=0.5, retry_after=7, wikipedia="down", limits={"throttle": 3})
    assert Faults.parse(json.loads(json.dumps(faults.as_json()))) == faults


def test_by_default_nothing_happens() -> None:
    sampler = FaultSampler(Faults(), 1, ignore)
    assert not any(sampler.occurs(name) for name in ("drop", "throttle", "html") for _ in range(100))
    assert sampler.choice("wikipedia") == "ok"
    assert sampler.delay() == 0


@given(st.integers(), st.floats(0.05, 0.95))
def test_a_fault_happens_about_as_often_as_it_should(seed: int, probability: float) -> None:
    sampler = FaultSampler(Faults(drop=probability), seed, ignore)
    happened = sum(sampler.occurs("drop") for _ in range(2_000))
    assert abs(happened / 2_000 - probability) < 0.08


@given(st.integers())
def test_the_same_seed_gives_the_same_faults(seed: int) -> None:
    first, second = (FaultSampler(Faults(drop=0.5, jitter=1.0), seed, ignore) for _ in range(2))
    assert [first.occurs("drop") for _ in range(50)] == [second.occurs("drop") for _ in range(50)]
    assert [first.delay() for _ in range(50)] == [second.delay() for _ in range(50)]


def test_a_limit_ends_a_fault_until_it_is_set_again() -> None:
    # given a fault that may happen twice
    names: list[str] = []
    faults = Faults(throttle=1, wikipedia="down", limits={"throttle": 2, "wikipedia": 1})
    sampler = FaultSampler(faults, 1, names.append)

    # then it does, and no more
    assert [sampler.occurs("throttle") for _ in range(4)] == [True, True, False, False]
    assert [sampler.choice("wikipedia") for _ in range(2)] == ["down", "ok"]
    assert names == ["throttle", "throttle", "wikipedia"]

    # when the same faults are set again, then they occur again
    sampler.set(faults)
    assert sampler.occurs("throttle")


def test_the_delay_is_the_latency_and_some_jitter() -> None:
    sampler = FaultSampler(Faults(latency=0.2, jitter=0.1), 1, ignore)
    delays = [sampler.delay() for _ in range(200)]
    assert min(delays) >= 0.2
    assert max(delays) < 0.3
    assert max(delays) - min(delays) > 0.05


def test_the_names_of_the_last_version_are_accepted_with_a_warning() -> None:
    old = {"drip": 1, "drip_seconds": 2, "half_body": 0.5, "other_symbols": 0.1, "poisoned_crumb": 0.2}
    values, warnings = replace_old_names({**old, "limits": {"drip": 3, "half_body": 1, "drop": 2}})
    assert Faults.parse(values) == Faults(
        slow_body=1,
        slow_body_seconds=2,
        truncated_body=0.5,
        unrequested_symbols=0.1,
        corrupt_crumb=0.2,
        limits={"slow_body": 3, "truncated_body": 1, "drop": 2},
    )
    assert len(warnings) == len(old)
    assert "the fault drip is now named slow_body; use the new name" in warnings
    assert replace_old_names({"drop": 1}) == ({"drop": 1}, [])
    assert replace_old_names([1]) == ([1], [])
