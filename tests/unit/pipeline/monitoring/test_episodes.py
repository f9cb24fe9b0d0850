"""Episodes are reported once at their beginning and once at their end, with duration and counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sp500tui.pipeline.core.events import EventKind, Notice
from sp500tui.pipeline.core.snapshot import CycleSnapshot
from sp500tui.pipeline.monitoring.episodes import (
    BehindEpisode,
    JournalEpisode,
    LimitEpisode,
    ReplayEpisode,
)
from sp500tui.pipeline.writer.database_health import Outage

CYCLE = CycleSnapshot(number=1, total=503, running=True, seconds=0.5, next_in=1.5, interval=2.0)


class TestLimit:
    def test_a_lowered_limit_and_its_return_are_reported_once(self) -> None:
        # given a limit of 45 requests a second
        episode = LimitEpisode()
        assert episode.update(0, 45, 45) is None
        # when it is halved twice, and rises again
        lowered = episode.update(10, 22.5, 45, "Yahoo Finance limits the request rate (429)")
        assert episode.update(11, 11.25, 45) is None
        assert episode.update(30, 40, 45) is None
        assert episode.update(31, 45, 45) is None
        raised = episode.update(35, 45, 45)
        # then there is a report of the beginning and one of the end
        assert lowered is not None
        assert lowered.kind is EventKind.LIMIT_LOWERED
        assert lowered.message == (
            "the request limit is lowered from 45 to 22.5/s: Yahoo Finance limits the request rate (429)"
        )
        assert raised is not None
        assert raised.message == "the request limit is back at 45/s after 20.0 s; the lowest was 11.2/s"
        assert (raised.kind, raised.seconds) == (EventKind.LIMIT_RAISED, 20.0)
        assert episode.update(40, 45, 45) is None

    def test_a_limit_that_flickers_is_one_episode(self) -> None:
        episode = LimitEpisode()
        reports = [episode.update(now, 45 if now % 2 else 22.5, 45) for now in range(60)]
        reports += [episode.update(now, 45, 45) for now in range(60, 80)]
        assert [report.kind for report in reports if report] == [
            EventKind.LIMIT_LOWERED,
            EventKind.LIMIT_RAISED,
        ]


class TestBehind:
    def test_a_cycle_that_takes_too_long_is_reported_while_it_runs(self) -> None:
        # given cycles that end in time
        episode = BehindEpisode()
        assert episode.update(0.5, CYCLE) is None
        # when one takes longer than the interval
        begun = episode.update(2.1, replace(CYCLE, seconds=2.1))
        assert episode.update(4.1, replace(CYCLE, seconds=4.1, skipped=1)) is None
        assert episode.update(7.6, replace(CYCLE, seconds=7.6, skipped=3)) is None
        assert episode.update(7.7, replace(CYCLE, seconds=7.6, skipped=3, running=False)) is None
        # and the following ones end in time again
        reports = []
        for number in range(2, 8):
            now = 6.0 + number
            later = replace(CYCLE, number=number, seconds=0.3, running=False)
            reports.append(episode.update(now, later))
        # then the end is reported once, with what was skipped
        assert begun is not None
        assert (begun.kind, begun.message) == (
            EventKind.CYCLE_BEHIND,
            "cycle 1 takes longer than the interval of 2 s",
        )
        (ended,) = [report for report in reports if report]
        assert ended.kind is EventKind.CYCLE_ON_TIME
        assert ended.message == (
            "cycles end in time again after 5.6 s; the longest took 7.6 of 2.0 s, 3 starts were skipped"
        )
        assert ended.count == 3
        assert ended.seconds == pytest.approx(5.6)

    def test_cycles_that_are_late_every_second_time_are_one_episode(self) -> None:
        episode = BehindEpisode()
        reports = []
        for number in range(1, 100):
            seconds = 2.1 if number % 2 else 1.9
            reports.append(
                episode.update(2.0 * number, replace(CYCLE, number=number, seconds=seconds, running=False))
            )
        assert [report.kind for report in reports if report] == [EventKind.CYCLE_BEHIND]

    def test_the_first_cycle_is_not_held_to_the_interval_while_it_warms_up(self) -> None:
        # given a first cycle that opens the connections for 4.9 s
        episode = BehindEpisode()
        for seconds in (1.9, 2.1, 4.8):
            assert episode.update(seconds, replace(CYCLE, seconds=seconds, warming_up=True)) is None
        ended = replace(CYCLE, seconds=4.9, running=False, warming_up=True)
        assert episode.update(4.9, ended) is None
        # when the second one takes longer than the interval too
        late = episode.update(7.1, replace(CYCLE, number=2, seconds=2.1))
        # then that one is reported
        assert late is not None
        assert late.message == "cycle 2 takes longer than the interval of 2 s"

    def test_a_cycle_after_which_none_starts_is_not_behind(self) -> None:
        assert BehindEpisode().update(9.0, replace(CYCLE, seconds=9.0, next_in=None)) is None

    def test_before_the_first_cycle_nothing_is_behind(self) -> None:
        assert BehindEpisode().update(9.0, CycleSnapshot(next_in=0.0, interval=2.0)) is None

    def test_one_skipped_start_is_singular(self) -> None:
        episode = BehindEpisode()
        episode.update(2.5, replace(CYCLE, seconds=2.5, skipped=1))
        late = [episode.update(2.5 + n, replace(CYCLE, number=1 + n, running=False)) for n in range(1, 9)]
        (ended,) = [report for report in late if report]
        assert ended.message.endswith("1 start was skipped")


class TestJournal:
    def test_a_full_disk_is_reported_once_and_its_end_once(self) -> None:
        # given a journal whose disk is full
        episode = JournalEpisode()
        assert episode.update(99.0, "") is None
        down = episode.update(100.0, "the disk of the journal is full")
        assert down is not None
        assert (down.kind, down.message) == (EventKind.JOURNAL_DOWN, "the disk of the journal is full")
        # when it takes a batch in between
        assert episode.update(101.0, "") is None
        assert episode.update(103.0, "the disk of the journal is full") is None
        # then the end is reported when no error has followed for some seconds
        assert episode.update(107.9, "") is None
        back = episode.update(108.0, "")
        assert back is not None
        assert (back.kind, back.message) == (
            EventKind.JOURNAL_BACK,
            "the journal accepts rows again after 3.0 s",
        )
        assert episode.update(120.0, "") is None


class TestReplay:
    def update(self, episode: ReplayEpisode, now: float, **state: object) -> Notice | None:
        usual: dict[str, object] = {"outage": None, "down": False, "waiting": 0, "replayed": 0, "dead": 0}
        return episode.update(now, **{**usual, **state})  # type: ignore[arg-type]

    def test_the_replay_after_an_outage_is_reported_once_it_is_complete(self) -> None:
        # given an outage during which 2,515 rows were written to the journal
        episode = ReplayEpisode()
        assert self.update(episode, 100.0, down=True, waiting=2515) is None
        # when the database is back and takes them
        outage = Outage(10.4, 110.0)
        assert self.update(episode, 110.1, outage=outage, waiting=1000, replayed=1515) is None
        report = self.update(episode, 110.2, outage=outage, replayed=2515)
        # then it is reported with the duration of the outage and of the replay
        assert report is not None
        assert report.message == (
            "the database was down for 10.4 s: 2,515 rows replayed from the journal in 0.2 s, none missing"
        )
        assert (report.kind, report.count, report.seconds) == (EventKind.REPLAYED, 2515, 10.4)
        assert self.update(episode, 111.0, outage=outage, replayed=2515) is None

    def test_dead_lettered_rows_are_named(self) -> None:
        report = self.update(ReplayEpisode(), 1.0, replayed=500, dead=2)
        assert report is not None
        assert report.message == "500 rows replayed from the journal, 2 of them dead-lettered"

    def test_an_outage_without_rows_needs_no_replay(self) -> None:
        episode = ReplayEpisode()
        assert self.update(episode, 1.0, outage=Outage(0.5, 0.9)) is None
        # and is not named by a later replay
        report = self.update(episode, 50.0, outage=None, replayed=3)
        assert report is not None
        assert report.message == "3 rows replayed from the journal, none missing"
