"""A bounded buffer of log lines with filters and search."""

from __future__ import annotations

import logging
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sp500tui.logs.setup import LogLine
from sp500tui.tui.render.formats import ELLIPSIS, clean, count, plural

CAPACITY = 5_000
MAX_CHARACTERS = 4_000
"""Maximum length of a line; the log file has the whole line."""
LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
_STAGES = ("scraper", "price", "converter", "writer", "history")
_NUMBER = re.compile(r"\d+")
_FIGURE = re.compile(r"\d[\d,.]*")
_CYCLE = re.compile(r"cycle \d")
"""Start of a message about a cycle, which occurs every few seconds."""
_NOUNS = {
    logging.CRITICAL: "critical error",
    logging.ERROR: "error",
    logging.WARNING: "warning",
    logging.INFO: "info",
    logging.DEBUG: "debug",
}
"""Noun for one line of each level."""
_COUNTED = ("critical error", "error", "warning")
"""Levels whose noun has a plural."""
_WANTED = {
    logging.DEBUG: "lines",
    logging.INFO: "info, warnings or errors",
    logging.WARNING: "warnings or errors",
    logging.ERROR: "errors",
}
"""The lines that each level shows."""


def next_level(level: int, step: int) -> int:
    """The level before or after `level`, wrapping around."""
    return LEVELS[(LEVELS.index(level) + step) % len(LEVELS)]


def next_choice(choices: Sequence[str], current: str, step: int) -> str:
    """The choice before or after the current one, wrapping around; the first if the current one no longer exists."""
    if current not in choices:
        return choices[0]
    return choices[(choices.index(current) + step) % len(choices)]


def filter_options(workers: Iterable[str]) -> list[str]:
    """The worker filters: all (empty), each stage (`price-`), each worker in natural order."""
    names = set(workers)
    stages = [f"{stage}-" for stage in _STAGES if any(name.startswith(f"{stage}-") for name in names)]
    return ["", *stages, *sorted(names, key=_natural_key)]


def _natural_key(name: str) -> tuple[str, int]:
    number = _NUMBER.search(name)
    return _NUMBER.sub("", name), int(number.group()) if number else 0


def matches_filter(line: LogLine, level: int, worker: str) -> bool:
    """Whether a line has at least this level and this worker, or this stage where `worker` ends in `-`."""
    if line.level < level:
        return False
    return not worker or (line.worker.startswith(worker) if worker.endswith("-") else line.worker == worker)


@dataclass(slots=True)
class LogEntry:
    """Adjacent lines with the same message, shown as the newest one and their number."""

    line: LogLine
    """The newest one."""
    first: LogLine
    key: str
    count: int = 1

    @property
    def worker(self) -> str:
        """The worker that logged the lines, or its stage, such as `price-*`, if there were several."""
        stage, dash, _ = self.line.worker.partition("-")
        return self.line.worker if self.line.worker == self.first.worker else f"{stage}{dash}*"


def fold_key(line: LogLine) -> str:
    """Equal for lines shown as one: the same message, level and stage, in any cycle."""
    stage = line.worker.partition("-")[0]
    message = _FIGURE.sub("#", line.message) if _CYCLE.match(line.message) else line.message
    return f"{line.level} {stage} {message}"


class LogBuffer:
    """Keeps the newest lines, folds those that match the filters into entries, and numbers these from 0.

    Numbers do not change when old entries are dropped: `first` is the number of the oldest.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._lines: deque[LogLine] = deque(maxlen=capacity)
        self._shown: deque[LogEntry] = deque()
        self._levels: Counter[int] = Counter()
        self._workers: dict[str, None] = {}
        self.first = 0
        self.level = logging.INFO
        """Lowest level that is shown."""
        self.worker = ""
        """Worker or stage whose lines are shown; see `matches_filter`."""

    def extend(self, lines: Iterable[LogLine]) -> int:
        """Append lines; returns how many of them match the filters."""
        added = 0
        for line in lines:
            kept = line if len(line.message) <= MAX_CHARACTERS else _truncated(line)
            kept = replace(kept, message=clean(kept.message), worker=clean(kept.worker))
            if len(self._lines) == self._lines.maxlen:
                self._levels[self._lines[0].level] -= 1
            self._lines.append(kept)
            self._levels[kept.level] += 1
            self._workers[kept.worker] = None
            if matches_filter(line, self.level, self.worker):
                self._show(kept)
                added += 1
        while self._shown and self._shown[0].line.seq < self._lines[0].seq:
            self._shown.popleft()
            self.first += 1
        return added

    def _show(self, line: LogLine) -> None:
        """Add a line to the newest entry, or start a new one."""
        key = fold_key(line)
        newest = self._shown[-1] if self._shown else None
        if newest is not None and newest.key == key:
            newest.line, newest.count = line, newest.count + 1
        else:
            self._shown.append(LogEntry(line, line, key))

    def set_filter(self, *, level: int | None = None, worker: str | None = None) -> None:
        """Change the filters; matching entries are numbered from 0 again."""
        self.level = self.level if level is None else level
        self.worker = self.worker if worker is None else worker
        self._shown = deque()
        for line in self._lines:
            if matches_filter(line, self.level, self.worker):
                self._show(line)
        self.first = 0

    @property
    def end(self) -> int:
        """One more than the number of the newest matching entry."""
        return self.first + len(self._shown)

    def entry(self, number: int) -> LogEntry | None:
        """The matching entry of that number; None if there is none."""
        index = number - self.first
        return self._shown[index] if 0 <= index < len(self._shown) else None

    def line(self, number: int) -> LogLine | None:
        """The newest line of the matching entry of that number; None if there is none."""
        entry = self.entry(number)
        return None if entry is None else entry.line

    def lines_of(self, entry: LogEntry) -> list[LogLine]:
        """The lines of an entry that are still kept, oldest first."""
        return [
            line
            for line in self._lines
            if entry.first.seq <= line.seq <= entry.line.seq
            and matches_filter(line, self.level, self.worker)
            and fold_key(line) == entry.key
        ]

    @property
    def hidden_summary(self) -> str:
        """Why nothing is shown: `no errors; 3 warnings, 118 info hidden`."""
        if not self._lines:
            return "No lines yet"
        wanted = _WANTED[self.level] + (f" of {self.worker.removesuffix('-')}" if self.worker else "")
        hidden = [
            plural(self._levels[level], noun) if noun in _COUNTED else f"{count(self._levels[level])} {noun}"
            for level, noun in _NOUNS.items()
            if self._levels[level] > 0
        ]
        return f"no {wanted}; {', '.join(hidden)} hidden"

    def filter_options(self) -> list[str]:
        """The values `worker` can be set to."""
        return filter_options(self._workers)

    def find(self, text: str, start: int, step: int) -> int | None:
        """The number of the next line that contains `text`, from `start` to newer (1) or older (-1) lines.

        The search wraps around.
        """
        return self._find(lambda line: contains(line, text), start, step) if text else None

    def find_error(self, start: int) -> int | None:
        """The number of the next error from `start` on; the search wraps around."""
        return self._find(lambda line: line.level >= logging.ERROR, start, 1)

    def _find(self, matching: Callable[[LogLine], bool], start: int, step: int) -> int | None:
        numbers = [self.first + i for i, entry in enumerate(self._shown) if matching(entry.line)]
        if not numbers:
            return None
        if step > 0:
            return next((number for number in numbers if number >= start), numbers[0])
        return next((number for number in reversed(numbers) if number <= start), numbers[-1])

    def count(self, text: str) -> int:
        """The number of matching lines that contain `text`."""
        return sum(contains(entry.line, text) for entry in self._shown) if text else 0


def contains(line: LogLine, text: str) -> bool:
    """Whether a line's message or worker name contains the text, regardless of case."""
    folded = text.casefold()
    return folded in line.message.casefold() or folded in line.worker.casefold()


def _truncated(line: LogLine) -> LogLine:
    return replace(line, message=line.message[:MAX_CHARACTERS] + ELLIPSIS)
