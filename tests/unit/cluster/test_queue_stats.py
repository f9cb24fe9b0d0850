"""The totals of a queue on the broker, as a node has seen them."""

from __future__ import annotations

from sp500tui.cluster.node.wiring import RemoteQueueStats
from sp500tui.cluster.queue.entries import Reading


def test_totals_count_from_the_first_reading() -> None:
    stats = RemoteQueueStats(100)
    assert (stats.total_in, stats.total_out) == (0, 0)
    stats.set(Reading(total_in=1000, total_out=900))
    assert (stats.total_in, stats.total_out) == (0, 0)
    stats.set(Reading(total_in=1050, total_out=980))
    assert (stats.total_in, stats.total_out) == (50, 80)


def test_a_broker_that_lost_its_data_takes_nothing_back() -> None:
    # given a node that has seen 50 items put
    stats = RemoteQueueStats(100)
    stats.set(Reading(total_in=1000, total_out=1000))
    stats.set(Reading(total_in=1050, total_out=1050))
    # when the broker starts again without its data, and 20 more are put in
    stats.set(Reading())
    assert (stats.total_in, stats.total_out) == (50, 50)
    stats.set(Reading(total_in=20, total_out=15))
    # then these are added to the count
    assert (stats.total_in, stats.total_out) == (70, 65)
