"""A demo market without a process: stores faults, returns given counts, and fails on demand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sp500tui.errors import SourceError
from sp500tui.simulator.faults import Faults


class CannedMarket:
    """Validates faults like the real one."""

    def __init__(self, **faults: object) -> None:
        self.now = Faults.parse(faults)
        self.happened: dict[str, int] = {"throttle": 37}
        self.away = False
        self.proxy_url = "http://127.0.0.1:1"
        self.ca_file = Path("/nonexistent/ca.pem")

    def faults(self) -> Mapping[str, object]:
        self._answer()
        return self.now.as_json()

    def set_faults(self, **faults: object) -> None:
        self._answer()
        self.now = Faults.parse(faults)

    def statistics(self) -> Mapping[str, object]:
        self._answer()
        return {"faults": dict(self.happened), "requests_total": 1204}

    def _answer(self) -> None:
        if self.away:
            raise SourceError("the demo market at http://127.0.0.1:1 does not answer; start it again")
