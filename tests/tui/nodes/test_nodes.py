"""The nodes screen: states, lost nodes, scaling one node, and how to join a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Health, Snapshot
from sp500tui.tui.dashboard.screen import MainScreen
from sp500tui.tui.nodes.render import details_lines
from sp500tui.tui.nodes.screen import NodesScreen
from sp500tui.tui.screens import SCREENS, entry_of
from tests.support.parameters import rest_thorough
from tests.support.tui.fake_cluster import ALPHA, BETA, GAMMA, one_lost, three_nodes, watching
from tests.support.tui.fake_pipeline import FakePipeline, running
from tests.support.tui.past_seconds import past_seconds
from tests.tui.conftest import Drive, Driven


@asynccontextmanager
async def opened(drive: Drive, snapshot: Snapshot, **more: Any) -> AsyncIterator[tuple[Driven, NodesScreen]]:
    """The nodes screen, opened by its number key."""
    async with drive(FakePipeline(snapshot), **{"broker": "redis://valkey.example", **more}) as driven:
        await driven.press("4")
        screen = driven.app.screen
        assert isinstance(screen, NodesScreen)
        await driven.pilot.pause()
        yield driven, screen


class TestTable:
    async def test_every_node_shows_its_state_and_its_pools(self, drive: Drive) -> None:
        async with opened(drive, three_nodes(), size=(200, 60)) as (_, screen):
            alpha, beta, gamma = screen.node_list.rows_shown()
        assert alpha.startswith("◆ alpha:4100 (here)")
        assert "● seen 0.4 s ago" in alpha
        assert "4/4 20.6/s  p95 112 ms" in alpha
        assert "◆ leader" in alpha
        assert "standby" in beta
        assert "3/4 12.0/s" in gamma
        assert gamma.rstrip().endswith("harbour")

    async def test_a_lost_node_shows_where_its_work_went(self, drive: Drive) -> None:
        async with opened(drive, one_lost()) as (driven, screen):
            await driven.press("down", "down")
            assert "✗ LOST 12 s ago" in screen.node_list.rows_shown()[2]
            details = "\n".join(screen.details.lines_shown())
            assert "held 150 tickers and 50 quotes; reassigned to alpha:4100" in details
            assert "node lost; its workers are gone" in driven.text()

    async def test_the_details_and_workers_follow_the_mark(self, drive: Drive) -> None:
        async with opened(drive, three_nodes()) as (driven, screen):
            assert "node · alpha:4100 (this program)" in driven.text()
            await driven.press("down")
            assert "node · beta:4711" in driven.text()
            theirs = [worker.name for worker in driven.app.snapshot.workers if worker.node == BETA]
            shown = [row.split()[0] for row in screen.worker_list.rows_shown()]
            assert shown == theirs

    async def test_a_wide_list_shows_the_last_seconds_of_this_programs_workers(self, drive: Drive) -> None:
        async with opened(drive, three_nodes(), size=(200, 60)) as (driven, screen):
            driven.pipeline.seconds = past_seconds(workers=three_nodes().workers)
            driven.app.refresh_data()
            await driven.until(lambda: "−30 s" in driven.text(), "the axis")
            assert "next cycle in 7 s" in driven.text()
            # and not those of another node, which are not known
            await driven.press("down")
            await driven.until(lambda: screen.marked is not None and screen.marked.name == BETA)
            await driven.until(lambda: "−30 s" not in driven.text(), "the list without strips")

    async def test_the_mark_stays_with_its_node(self, drive: Drive) -> None:
        # given the mark on the last of three nodes
        async with opened(drive, three_nodes()) as (driven, screen):
            await driven.press("end")
            # when a node before it leaves
            alpha, _, gamma = three_nodes().nodes
            driven.show(replace(three_nodes(), nodes=(alpha, gamma)))
            # then the same node is marked
            await driven.until(lambda: screen.node_list.cursor == 1)
            assert screen.marked is not None
            assert screen.marked.name == GAMMA

    async def test_the_mark_moves_at_once(self, drive: Drive) -> None:
        async with opened(drive, three_nodes()) as (_, screen):
            # when a snapshot arrives between the key and the list's message
            screen.node_list.action_move(1)
            screen.show_snapshot(three_nodes())
            # then the mark is at the row chosen by the key
            assert screen.marked is not None
            assert screen.marked.name == BETA

    async def test_a_marked_node_that_is_forgotten_gives_its_place_to_the_nearest(self, drive: Drive) -> None:
        async with opened(drive, three_nodes()) as (driven, screen):
            await driven.press("end")
            driven.show(replace(three_nodes(), nodes=three_nodes().nodes[:2]))
            await driven.until(lambda: screen.marked is not None and screen.marked.name == BETA)

    async def test_a_leaving_node_shows_its_phase(self, drive: Drive) -> None:
        alpha, beta, gamma = three_nodes().nodes
        leaves = replace(beta, health=Health.DEGRADED, message="draining: finishing its leases, then leaving")
        async with opened(drive, replace(three_nodes(), nodes=(alpha, leaves, gamma))) as (driven, screen):
            assert "▽ draining" in screen.node_list.rows_shown()[1]
            await driven.press("down", "plus")
            assert "beta:4711 is leaving" in driven.text()

    async def test_without_the_broker_the_states_are_unknown(self, drive: Drive) -> None:
        away = replace(three_nodes(), broker_health=Health.DOWN, broker_message="the broker is away")
        async with opened(drive, away) as (driven, screen):
            here, *others = screen.node_list.rows_shown()
            assert "● seen" in here
            assert all("◌ unknown" in row for row in others)
            assert "3 before the broker failed" in driven.text()


class TestScaling:
    def test_the_columns_of_all_stages_are_aligned(self) -> None:
        node = three_nodes().nodes[0]
        pools = [replace(node.stages[0], name=name, size=64, alive=64, busy=12) for name in StageName]
        lines = [
            "".join(span.text for span in line)
            for line in details_lines(replace(node, stages=tuple(pools)), 118)
        ]
        assert len({line.index("64 of 64") for line in lines if "64 of 64" in line}) == 1
        assert "history workers 64 of 64" in lines[-1]

    async def test_the_keys_scale_only_the_marked_node(self, drive: Drive) -> None:
        async with opened(drive, three_nodes()) as (driven, screen):
            await driven.press("down", "plus", "plus", "minus")
            calls = [call for call in driven.pipeline.calls if call[0] == "scale_node"]
            assert calls == [("scale_node", BETA, StageName.PRICE, size) for size in (5, 6, 5)]
            assert "price workers on beta:4711 6 → 5" in driven.text()
            await driven.until(lambda: "4/5" in screen.node_list.rows_shown()[1])

    async def test_arrows_choose_the_stage(self, drive: Drive) -> None:
        async with opened(drive, three_nodes()) as (driven, _):
            await driven.press("right", "l", "plus")
            assert ("scale_node", ALPHA, StageName.WRITER, 2) in driven.pipeline.calls
            await driven.press("h", "left", "left", "plus")
            assert driven.app.selected_stage is StageName.SCRAPER
            assert "The scraper always has one worker" in driven.text()

    @pytest.mark.parametrize(
        ("shown", "keys", "words"),
        rest_thorough(
            [
                (one_lost(), ("end", "plus"), "gamma:4712 is lost"),
                (watching(), ("plus",), "delta:99 runs no price workers"),
                (
                    three_nodes(),
                    ("right", "minus"),
                    "converters on alpha:4100: 1 is the limit (allowed: 1 to 64)",
                ),
            ]
        ),
        ids=["lost", "without the stage", "at its least"],
    )
    async def test_a_refused_scaling_shows_the_reason(
        self, drive: Drive, shown: Snapshot, keys: tuple[str, ...], words: str
    ) -> None:
        async with opened(drive, shown) as (driven, _):
            await driven.press(*keys)
            await driven.until(lambda: words in driven.text())
            assert all(call[0] != "scale_node" for call in driven.pipeline.calls)

    async def test_the_message_is_shown_in_a_small_window(self, drive: Drive) -> None:
        async with opened(drive, three_nodes(), size=(80, 24)) as (driven, _):
            assert "+ - price workers of alpha:4100" in driven.text()
            await driven.press("plus")
            assert "price workers on alpha:4100 4 → 5" in driven.text()


class TestAlone:
    async def test_the_screen_shows_how_to_join_a_cluster(self, drive: Drive) -> None:
        async with opened(drive, running(), broker=None) as (driven, screen):
            reported = " ".join(" ".join(screen.details.lines_shown()).split())
            assert (
                "This program is not part of a cluster. To join one: sp500tui --broker redis://HOST"
                in reported
            )
            assert "sp500tui worker --stages price=8 --broker redis://HOST" in reported
            await driven.press("plus", "down", "right", "escape")
            assert isinstance(driven.app.screen, MainScreen)

    async def test_the_keys_act_on_the_pipeline_and_report_it(self, drive: Drive) -> None:
        async with opened(drive, running(), broker=None, size=(80, 24)) as (driven, _):
            await driven.until(lambda: "+ - scale  " in driven.text().splitlines()[-1], "the key bar")
            await driven.press("plus")
            await driven.until(lambda: "price workers 8 → 9" in driven.text().splitlines()[-1], "the effect")

    async def test_before_the_first_answer_of_the_broker_it_is_joining(self, drive: Drive) -> None:
        async with opened(drive, running()) as (driven, screen):
            assert "Joining the cluster …" in driven.text()
            driven.show(three_nodes())
            await driven.until(lambda: len(screen.node_list.rows_shown()) == 3 and screen.node_list.has_focus)
            await driven.press("down")
            assert screen.marked is not None
            assert screen.marked.name == BETA

    def test_the_palette_offers_the_screen_in_a_cluster_only(self) -> None:
        offered = {entry.name for entry in SCREENS if entry.offered(demo=True, cluster=False)}
        assert {entry.name for entry in SCREENS if entry.offered(demo=True, cluster=True)} - offered == {
            "nodes"
        }
        assert entry_of("nodes").available(demo=False)


async def test_a_window_of_any_size_shows_it(drive: Drive) -> None:
    async with opened(drive, one_lost(), size=(60, 16)) as (driven, _):
        assert "LOST" in driven.text()
        for size in ((10, 5), (200, 60), (60, 30)):
            await driven.pilot.resize_terminal(*size)
            await driven.pilot.pause()
        assert driven.app.is_running
