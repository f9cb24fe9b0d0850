"""The dice that decide whether something goes wrong this time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from sp500tui.simulator.faults import Faults
from sp500tui.simulator.market.prng import Prng


class FaultSampler:
    """Decides, reproducibly for a seed, whether a fault happens now."""

    def __init__(self, faults: Faults, seed: object, report: Callable[[str], None]) -> None:
        """Tell `report` the name of every fault that happens."""
        self._rng = Prng(seed, "faults")
        self._report = report
        self.faults = faults
        self._happened: Counter[str] = Counter()

    def set(self, faults: Faults) -> None:
        """Let these faults happen from now on; the count towards their limits begins again."""
        self.faults = faults
        self._happened.clear()

    def happens(self, name: str) -> bool:
        """Whether the fault of that probability happens this time."""
        probability: float = getattr(self.faults, name)
        if not probability or (probability < 1 and self._rng.uniform() >= probability):
            return False
        return self._within_limit(name)

    def choice(self, name: str) -> str:
        """The value of a fault that is chosen by a word; `ok` once its limit is reached."""
        value: str = getattr(self.faults, name)
        return value if value != "ok" and self._within_limit(name) else "ok"

    def delay(self) -> float:
        """Seconds the present answer has to wait."""
        jitter = self.faults.jitter
        return self.faults.latency + (jitter * self._rng.uniform() if jitter else 0.0)

    def pick(self, number: int) -> int:
        """A number from 0 to below `number`."""
        return int(self._rng.uniform() * number)

    def _within_limit(self, name: str) -> bool:
        if self._happened[name] >= self.faults.limits.get(name, self._happened[name] + 1):
            return False
        self._happened[name] += 1
        self._report(name)
        return True
