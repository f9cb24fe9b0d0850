"""A dashboard in a cluster: the status bar, the workers' nodes, control of all of them, events, and quitting."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from sp500tui.errors import ExitCode
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Health, MissingSymbol, Phase, Snapshot
from sp500tui.pipeline.monitoring.verdict import verdict
from sp500tui.pipeline.report import RunReport, exit_code
from sp500tui.tui.database.metrics import metrics
from sp500tui.tui.demo.render import no_market_reason, writer_to_kill
from sp500tui.tui.nodes.render import details_lines, node_line, nodes_heading
from sp500tui.tui.quit.shutdown import ShutdownStatus, leaving_lines, remaining_cluster_message
from sp500tui.tui.recent_seconds import RecentSeconds
from sp500tui.tui.render.cluster_labels import short_name, tail
from sp500tui.tui.render.labels import phase_word, trouble
from sp500tui.tui.render.lines import width_of
from sp500tui.tui.shell.pipeline_actions import scale
from sp500tui.tui.shell.pipeline_rows import JOURNAL, ROWS, strip_lines
from sp500tui.tui.shell.status_bar import View, status_lines
from tests.support.tui.fake_cluster import BETA, one_lost, three_nodes, watching
from tests.support.tui.fake_pipeline import NOON, FakePipeline, running
from tests.tui.conftest import Drive, notes

VIEW = View("17:46:00", NOON)


def bar(snapshot: Snapshot, width: int, height: int = 3) -> str:
    lines = status_lines(snapshot, VIEW, width, height)
    assert all(width_of(line) == width for line in lines)
    return "\n".join("".join(span.text for span in line) for line in lines)


def away() -> Snapshot:
    """The broker does not answer."""
    message = "the broker at redis://valkey.example:6379/0 does not answer; next attempt in 3 s"
    return replace(three_nodes(), broker_health=Health.DOWN, broker_message=message)


class TestStatusBar:
    @pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 200, 300])
    @pytest.mark.parametrize("snapshot", [three_nodes(), one_lost(), watching(), away()])
    def test_its_lines_are_as_wide_as_the_window(self, snapshot: Snapshot, width: int) -> None:
        bar(snapshot, width)

    def test_nodes_and_broker_at_every_size(self) -> None:
        assert "Yahoo ✓  PostgreSQL ✓  3 nodes" in bar(three_nodes(), 80, 2)
        medium = bar(three_nodes(), 120, 4)
        assert "broker valkey.example:6379/0 ✓  3 nodes" in medium
        assert "fetched 21,126 = stored 20,871 + duplicate 203" in medium
        assert "broker valkey.example:6379/0 ✓  3 nodes" in bar(three_nodes(), 200)

    def test_a_loss_is_a_problem_for_a_minute_and_listed_longer(self) -> None:
        assert "2 of 3 nodes" in bar(one_lost(), 80, 2)
        assert trouble(one_lost()) is not None
        assert phase_word(one_lost())[1] == "degraded"
        assert "node gamma:4712 lost 12 s ago" in bar(one_lost(), 120)
        *others, lost = one_lost().nodes
        later = replace(one_lost(), nodes=(*others, replace(lost, heard=90.0)))
        assert trouble(later) is None
        assert "2 of 3 nodes" in bar(later, 120)

    def test_an_unreachable_broker_is_shown(self) -> None:
        assert "broker ✗ down" in bar(away(), 80, 2)
        assert "does not answer; next attempt in 3 s" in bar(away(), 120)


def test_lines_of_nodes_fit_every_width() -> None:
    for width in (40, 60, 80, 116, 130, 196):
        assert width_of(nodes_heading(width, StageName.WRITER)) == width
        for node in one_lost().nodes:
            assert width_of(node_line(node, width)) == width
            assert all(width_of(line) == width for line in details_lines(node, width))


def test_a_narrow_window_has_the_whole_name_of_each_node_and_all_its_pools() -> None:
    heading = "".join(span.text for span in nodes_heading(60, StageName.PRICE))
    assert heading.split() == ["node", "state", "price", "convert", "write"]
    for node, name in zip(three_nodes().nodes, ("alpha:4100 (here)", "beta:4711", "gamma:4712"), strict=True):
        line = "".join(span.text for span in node_line(node, 60))
        assert f" {name} " in line
        assert "…" not in line
        assert line[heading.index("price") :].startswith(("4/4", "3/4"))


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [("alpha:4100", 12, "alpha:4100  "), ("alpha:4100", 6, "…:4100"), ("a", 0, "")],
)
def test_long_names_keep_their_end(text: str, width: int, shown: str) -> None:
    assert tail(text, width) == shown
    assert short_name("alpha:4100:9f3c12ab") == "alpha:4100"
    assert short_name("alpha") == "alpha"


class TestSteering:
    def test_scaling_is_spread_over_the_nodes(self) -> None:
        pipeline = FakePipeline(three_nodes())
        words = scale(pipeline, three_nodes(), StageName.PRICE, 1)
        assert words == "price workers 8 → 9 over 3 nodes"
        assert pipeline.calls == [("scale", StageName.PRICE, 9)]

    def test_every_node_keeps_one_and_has_room_for_64(self) -> None:
        pipeline = FakePipeline(three_nodes())
        snapshot = three_nodes()
        few = replace(snapshot, stages=(replace(snapshot.stage(StageName.CONVERTER), size=2),))
        assert "2 is the limit (allowed: 2 to 128)" in scale(pipeline, few, StageName.CONVERTER, -1)
        many = replace(snapshot, stages=(replace(snapshot.stage(StageName.CONVERTER), size=128),))
        assert "128 is the limit" in scale(pipeline, many, StageName.CONVERTER, 1)
        assert pipeline.calls == []

    def test_a_stage_that_no_node_runs_is_not_scaled(self) -> None:
        here = watching().nodes[:1]
        pipeline = FakePipeline(replace(watching(), nodes=here))
        words = scale(pipeline, pipeline.now_shows, StageName.WRITER, 1)
        assert words == "No node runs writers: start one with sp500tui worker --stages writer=2"
        assert pipeline.calls == []

    def test_a_stage_that_no_node_runs_is_no_busy_one(self) -> None:
        # given pending rows and no writer on any node
        calm = running()
        stages = tuple(
            replace(stage, size=0, alive=0, busy=0) if stage.name is StageName.WRITER else stage
            for stage in calm.stages
        )
        queues = (*calm.queues[:2], replace(calm.queues[2], oldest_age=12.0))
        # when the verdict is given
        found = verdict(replace(calm, stages=stages, queues=queues), ())
        # then it names the missing stage, and the strip shows no worker
        assert (found.stage, found.sentence) == (StageName.WRITER, "held up: no node runs writers")
        shown = strip_lines(replace(calm, stages=stages), RecentSeconds(), StageName.PRICE, 120, 10)
        assert "none" in "".join(span.text for span in shown[ROWS.index(StageName.WRITER)])


class TestEvents:
    @pytest.mark.parametrize(
        ("kind", "words", "severity"),
        [
            (EventKind.NODE_LOST, "node gamma:4712 was lost; it held 150 tickers", "warning"),
            (EventKind.SCHEDULER, "node beta:4711 starts the cycles now", "information"),
            (EventKind.NODE_JOINED, "node gamma:4712 joined", "information"),
        ],
    )
    async def test_what_changes_the_cluster_is_noted(
        self, drive: Drive, kind: EventKind, words: str, severity: str
    ) -> None:
        level = logging.WARNING if severity == "warning" else logging.INFO
        async with drive(FakePipeline(three_nodes())) as driven:
            await driven.until(lambda: driven.pipeline.listeners)
            for listener in driven.pipeline.listeners:
                listener(PipelineEvent(kind, words, level, NOON))
            await driven.until(lambda: words in notes(driven.app))
            assert notes(driven.app).startswith("! ") is (severity == "warning")


async def test_workers_name_their_node(drive: Drive) -> None:
    async with drive(FakePipeline(three_nodes())) as driven:
        lines = driven.text().splitlines()
        assert any("worker" in line and "node" in line and "state" in line for line in lines)
        theirs = next(worker for worker in three_nodes().workers if worker.node == BETA)
        assert any(theirs.name in line and "beta:4711" in line for line in lines)
        await driven.press("shift+tab")
        driven.main.worker_list.cursor = three_nodes().workers.index(theirs)
        assert f"{theirs.name} on beta:4711" in driven.main.worker_list.row_text()


class TestLeaving:
    def text(self, snapshot: Snapshot, step: ShutdownLevel) -> str:
        lines = leaving_lines(ShutdownStatus(step, 3.0, 30.0, 52), snapshot)
        assert all(width_of(line) <= 72 for line in lines)
        return "\n".join("".join(span.text for span in line) for line in lines)

    def test_a_node_reports_that_the_cluster_continues(self) -> None:
        reported = self.text(three_nodes(), ShutdownLevel.DRAIN)
        assert "Leaving the cluster: this node finishes its current work." in reported
        assert "The cluster continues on 2 other nodes." in reported
        assert "Workers running: 7" in reported
        assert "3 s (timeout 30 s)" in reported
        assert "Press q again to release the rest" in reported
        assert "goes back to the other nodes" in self.text(three_nodes(), ShutdownLevel.SPOOL)
        assert "Quitting" in self.text(three_nodes(), ShutdownLevel.KILL)

    def test_a_viewer_reports_that_the_cluster_continues(self) -> None:
        reported = self.text(watching(), ShutdownLevel.DRAIN)
        assert "Quitting: this program only displays the cluster." in reported
        assert "The cluster continues on 3 other nodes." in reported

    def test_the_last_node_reports_that_the_cluster_is_idle(self) -> None:
        alone = replace(three_nodes(), nodes=three_nodes().nodes[:1])
        assert (
            remaining_cluster_message(alone)
            == "No other node is running stages; the cluster is idle until one joins."
        )
        assert remaining_cluster_message(running()) == ""

    def test_what_the_other_nodes_still_store_is_no_failure_of_the_one_that_leaves(self) -> None:
        under_way = replace(
            three_nodes(), ledger=Ledger(10, 8, 0, 1, 0, 0, 1), missing=(MissingSymbol("X", "unknown"),)
        )
        left = RunReport.from_snapshot(under_way, stopped_early=True)
        assert exit_code(left) is ExitCode.OK
        alone = RunReport.from_snapshot(replace(under_way, nodes=under_way.nodes[:1]), stopped_early=True)
        assert exit_code(alone) is ExitCode.INCOMPLETE
        to_its_end = RunReport.from_snapshot(replace(under_way, phase=Phase.STOPPED))
        assert to_its_end.unstored == 0
        assert exit_code(to_its_end) is ExitCode.INCOMPLETE, "a row was refused"

    async def test_the_notice_is_shown_and_repeated_on_the_terminal(self, drive: Drive) -> None:
        async with drive(FakePipeline(three_nodes())) as driven:
            driven.pipeline.ends_at = ShutdownLevel.SPOOL
            await driven.press("q")
            await driven.until(lambda: "The cluster continues on 2 other nodes." in driven.text())
            await driven.press("q")
            await driven.until(lambda: driven.result is not None)
            assert driven.result == ExitCode.OK
            assert driven.app._exit_renderables == ["The cluster continues on 2 other nodes."]


def test_a_cluster_has_no_journal() -> None:
    journal = next(figure for figure in metrics(three_nodes(), None, [], NOON) if figure.name == "journal")
    assert (journal.value, journal.note) == ("none", "the broker keeps the rows")
    rows = strip_lines(three_nodes(), RecentSeconds(), StageName.PRICE, 120, 10)
    assert "on the broker" in "".join(span.text for span in rows[ROWS.index(JOURNAL)])


class TestDemoControls:
    def test_a_writer_is_killed_here_and_not_elsewhere(self) -> None:
        snapshot = three_nodes()
        workers = tuple(
            replace(worker, node=BETA) if worker.name == "writer-1" else worker for worker in snapshot.workers
        )
        assert writer_to_kill(replace(snapshot, workers=workers)) == "writer-2"
        assert writer_to_kill(watching()) is None

    def test_a_node_without_a_fetch_stage_has_no_market(self) -> None:
        assert no_market_reason(three_nodes()) == no_market_reason(running()) == ""
        assert "Inject faults on a node that does" in no_market_reason(watching())

    async def test_the_screen_shows_the_reason(self, drive: Drive) -> None:
        async with drive(FakePipeline(watching())) as driven:
            await driven.press("3")
            await driven.until(lambda: "This node runs no fetch stage" in driven.text())
            await driven.press("x")
            await driven.until(lambda: "Inject faults on a node that does" in notes(driven.app))
            await driven.press("K")
            await driven.until(lambda: "This node has no writer to kill" in notes(driven.app))
