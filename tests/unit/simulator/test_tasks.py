"""The tasks of the demo market: an exception that ends one is logged."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sp500tui.simulator.http.server import MarketOptions, MarketServer


@pytest.mark.processes
async def test_a_round_over_all_shares_that_fails_is_logged_and_followed_by_the_next(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a market whose first round over all shares fails
    server = MarketServer(MarketOptions())
    rounds = 0
    again = asyncio.Event()

    def sweep() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise ZeroDivisionError("broken")
        again.set()

    monkeypatch.setattr(server.market, "sweep", sweep)

    # When it runs
    with caplog.at_level(logging.ERROR):
        await server.start()
        try:
            async with asyncio.timeout(20):
                await again.wait()
        finally:
            await server.close()

    # Then the failure is in the log with its traceback
    assert "ZeroDivisionError: broken" in caplog.text


async def test_a_task_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    server = MarketServer(MarketOptions())

    async def fail() -> None:
        raise ZeroDivisionError("broken")

    task = asyncio.create_task(fail())
    server._track(task)
    with caplog.at_level(logging.ERROR):
        await asyncio.wait([task])
        await asyncio.sleep(0)
    assert "ZeroDivisionError: broken" in caplog.text
    assert not server._tasks
