"""The log as a screen keeps it: a bounded buffer, the lines that pass the filters, and what a search finds."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sp500tui.logs.setup import LogLine
from sp500tui.tui.render.formats import ELLIPSIS, clean

CAPACITY = 5_000
KEPT_CHARACTERS = 4_000
"""Of one line; the whole of it is in the log file."""
LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
_STAGES = ("scraper", "price", "converter", "writer")
_NUMBER = re.compile(r"\d+")


def next_level(level: int, step: int) -> int:
    """The level before or after `level` in the round of levels."""
    return LEVELS[(LEVELS.index(level) + step) % len(LEVELS)]


def next_choice(choices: Sequence[str], chosen: str, step: int) -> str:
    """The choice before or after the one made; the first when that one is not offered any more."""
    if chosen not in choices:
        return choices[0]
    return choices[(choices.index(chosen) + step) % len(choices)]


def filter_options(workers: Iterable[str]) -> list[str]:
    """What can be chosen of: everybody (empty), each stage as a whole (`price-`), each worker, in natural order."""
    names = set(workers)
    stages = [f"{stage}-" for stage in _STAGES if any(name.startswith(f"{stage}-") for name in names)]
    return ["", *stages, *sorted(names, key=_natural)]


def _natural(name: str) -> tuple[str, int]:
    number = _NUMBER.search(name)
    return _NUMBER.sub("", name), int(number.group()) if number else 0


def matches_filter(line: LogLine, level: int, worker: str) -> bool:
    """Whether a line is shown: at least of that level, and of that worker, or of that stage when it ends in `-`."""
    if line.level < level:
        return False
    return not worker or (line.worker.startswith(worker) if worker.endswith("-") else line.worker == worker)


class LogBuffer:
    """Keeps the newest lines; those that pass the filters are numbered as they are shown, from 0.

    Lines that fall out at the old end keep the numbers of the others: `first` is the number of the oldest.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._lines: deque[LogLine] = deque(maxlen=capacity)
        self._shown: deque[LogLine] = deque()
        self._workers: dict[str, None] = {}
        self.first = 0
        self.level = logging.INFO
        """Lines below it are not shown."""
        self.worker = ""
        """Whose lines are shown: see `matches_filter`."""

    def extend(self, lines: Iterable[LogLine]) -> int:
        """Add lines at the new end; returns how many of them are shown."""
        added = 0
        for line in lines:
            kept = line if len(line.message) <= KEPT_CHARACTERS else _cut(line)
            self._lines.append(replace(kept, message=clean(kept.message), worker=clean(kept.worker)))
            self._workers[self._lines[-1].worker] = None
            if matches_filter(line, self.level, self.worker):
                self._shown.append(self._lines[-1])
                added += 1
        while self._shown and self._shown[0].seq < self._lines[0].seq:
            self._shown.popleft()
            self.first += 1
        return added

    def choose(self, *, level: int | None = None, worker: str | None = None) -> None:
        """Filter anew; the shown lines are numbered from 0 again."""
        self.level = self.level if level is None else level
        self.worker = self.worker if worker is None else worker
        self._shown = deque(line for line in self._lines if matches_filter(line, self.level, self.worker))
        self.first = 0

    @property
    def end(self) -> int:
        """One more than the number of the newest line shown."""
        return self.first + len(self._shown)

    def line(self, number: int) -> LogLine | None:
        """The shown line of that number; None when there is none."""
        index = number - self.first
        return self._shown[index] if 0 <= index < len(self._shown) else None

    def choices(self) -> list[str]:
        """What `worker` can be set to."""
        return filter_options(self._workers)

    def find(self, text: str, start: int, step: int) -> int | None:
        """The number of the nearest line with `text` in it, from `start` on towards newer (1) or older (-1) ones.

        The search goes round the end.
        """
        return self._did_you_mean(lambda line: matches(line, text), start, step) if text else None

    def find_error(self, start: int, step: int = 1) -> int | None:
        """The number of the nearest error from `start` on; goes round the end."""
        return self._did_you_mean(lambda line: line.level >= logging.ERROR, start, step)

    def _did_you_mean(self, wanted: Callable[[LogLine], bool], start: int, step: int) -> int | None:
        numbers = [self.first + i for i, line in enumerate(self._shown) if wanted(line)]
        if not numbers:
            return None
        if step > 0:
            return next((number for number in numbers if number >= start), numbers[0])
        return next((number for number in reversed(numbers) if number <= start), numbers[-1])

    def count(self, text: str) -> int:
        """How many shown lines have `text` in them."""
        return sum(matches(line, text) for line in self._shown) if text else 0


def matches(line: LogLine, text: str) -> bool:
    """Whether a line holds the text, in its message or its worker's name; capitals do not count."""
    wanted = text.casefold()
    return wanted in line.message.casefold() or wanted in line.worker.casefold()


def _cut(line: LogLine) -> LogLine:
    return replace(line, message=line.message[:KEPT_CHARACTERS] + ELLIPSIS)
