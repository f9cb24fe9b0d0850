"""A pseudo-random number generator with one integer of state, small enough for one per instrument."""

from __future__ import annotations

from statistics import NormalDist

from sp500tui.simulator.market.instruments import fraction

_MASK = 2**64 - 1
_STEPS = 4096
_NORMAL = tuple(NormalDist().inv_cdf((step + 0.5) / _STEPS) for step in range(_STEPS))


class Prng:
    """A linear congruential generator (Knuth's MMIX constants) with its high bits as the result."""

    __slots__ = ("_state",)

    def __init__(self, *seed: object) -> None:
        self._state = int(fraction(*seed) * 2**53)
        self.uniform()

    def uniform(self) -> float:
        """A number in [0, 1), in steps of 1/4096."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) & _MASK
        return (self._state >> 52) / _STEPS

    def normal(self) -> float:
        """A number from the standard normal distribution, within ±3.7."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) & _MASK
        return _NORMAL[self._state >> 52]
