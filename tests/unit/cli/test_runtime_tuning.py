"""Garbage collection and thread switching are set at the start of a run."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator

import pytest

from sp500tui.cli.runtime_tuning import tune_for_ui, tune_gc


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start from Python's defaults, and restore the settings of the test run."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(0.005)
    gc.set_threshold(700, 10, 10)
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "to be put back")
    monkeypatch.delenv("PYDANTIC_DISABLE_PLUGINS")
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("as_before")
def test_garbage_collection_runs_less_often() -> None:
    interval, young = sys.getswitchinterval(), gc.get_threshold()[0]

    tune_gc()

    assert sys.getswitchinterval() == interval, "a run without a screen needs throughput"
    assert gc.get_threshold()[0] > young
    assert gc.isenabled()
    assert os.environ["PYDANTIC_DISABLE_PLUGINS"] == "__all__"


@pytest.mark.usefixtures("as_before")
def test_the_switch_interval_is_shorter_with_a_screen() -> None:
    interval = sys.getswitchinterval()
    tune_for_ui()
    assert sys.getswitchinterval() < interval


@pytest.mark.usefixtures("as_before")
def test_pydantics_plugins_are_kept_where_they_are_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "one-of-them")
    tune_gc()
    assert os.environ["PYDANTIC_DISABLE_PLUGINS"] == "one-of-them"
