"""The data sources: Wikipedia and Yahoo Finance, or the same clients connected to the demo market."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sp500tui.config.paths import Paths
from sp500tui.config.settings import USER_AGENT, Settings
from sp500tui.simulator.process import DemoMarket
from sp500tui.sources.throttle import Throttle
from sp500tui.sources.trust import trusted_authorities
from sp500tui.sources.wikipedia.client import Wikipedia
from sp500tui.sources.yahoo.client import YahooFinance


@dataclass(slots=True)
class Sources:
    """Both sources, and the demo market if there is one."""

    wikipedia: Wikipedia
    yahoo: YahooFinance
    market: DemoMarket | None = None

    @classmethod
    def open(
        cls, settings: Settings, paths: Paths, throttle: Throttle, *, start_at: str | None = None
    ) -> Sources:
        """Open the sources; in demo mode, start the demo market at the New York time `start_at`.

        Raises:
            SourceError: the demo market did not start.
            ConfigurationError: the certificate authorities named in the environment cannot be loaded.
        """
        market = None
        proxy: str | None = settings.proxy
        ca_file: Path | None = None
        if not settings.demo:
            ca_file = trusted_authorities(settings.ca_file, os.environ, paths.cache)
        else:
            market = DemoMarket.start(
                speed=settings.market_speed, seed=settings.market_seed, start_at=start_at
            )
            proxy, ca_file = market.proxy_url, market.ca_file
        try:
            wikipedia = Wikipedia(
                settings.wikipedia_url,
                cache_dir=paths.cache,
                proxy=proxy,
                ca_file=ca_file,
                timeout=settings.request_timeout,
                user_agent=USER_AGENT,
            )
            yahoo = YahooFinance(
                throttle,
                proxy=proxy,
                ca_file=ca_file,
                timeout=settings.request_timeout,
                cache_dir=paths.cache,
            )
        except BaseException:
            if market is not None:
                market.close()
            raise
        return cls(wikipedia, yahoo, market)

    def close(self) -> None:
        """Close the sessions and end the demo market."""
        try:
            self.yahoo.close()
        finally:
            if self.market is not None:
                self.market.close()
