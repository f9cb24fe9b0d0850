"""A lesson: a question, the experiment that answers it, and the code that the answer is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from sp500tui.errors import Sp500tuiError

if TYPE_CHECKING:
    from sp500tui.lessons.bench import Bench

Value = float | str | None
"""A measured number, a text such as the version of an interpreter, or None for what could not be measured."""
Measured = Mapping[str, Value]
"""By the names of the lesson's figures."""


class LessonError(Sp500tuiError):
    """An experiment could not be run, or was cancelled."""


class Needs(IntEnum):
    """The resources of an experiment; each level includes those below it."""

    PROCESSOR = 0
    """Only this machine."""
    DATABASE = 1
    """A separate database, which is dropped afterwards."""
    PIPELINE = 2
    """A running pipeline with the demo market, whose settings are restored afterwards."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value and how it is shown."""

    name: str
    """Its key in `Measured`, with the unit if there is one: `one_worker_seconds`."""
    label: str
    unit: str = ""
    digits: int = 0
    """Digits after the decimal point."""


@dataclass(frozen=True, slots=True)
class Source:
    """The code that a lesson refers to."""

    file: str
    """Relative to the package: `pipeline/core/queue.py`."""
    function: str
    """Qualified name in that file: `MemoryQueue.put`."""

    def __str__(self) -> str:
        """The file and the function in one line."""
        return f"sp500tui/{self.file} · {self.function}"


@dataclass(frozen=True, slots=True)
class Lesson:
    """One lesson. Texts are plain paragraphs without line breaks."""

    name: str
    """As on the command line: `back-pressure`."""
    title: str
    question: str
    answers: tuple[str, ...]
    """The answers to choose from."""
    correct: int
    """Index of the correct answer."""
    change: str
    """The change that the experiment makes, and its measurement."""
    claim: str
    """The effect, as `effect` checks it."""
    why: str
    source: tuple[Source, ...]
    figures: tuple[Figure, ...]
    """In the order in which they are shown."""
    measure: Callable[[Bench], dict[str, Value]] = field(repr=False)
    """Run the experiment."""
    effect: Callable[[Measured], bool] = field(repr=False)
    """Whether the measured values show the claim."""
    needs: Needs = Needs.PIPELINE


@dataclass(frozen=True, slots=True)
class Outcome:
    """A lesson with its measurements."""

    lesson: Lesson
    measured: Measured

    @property
    def effect_seen(self) -> bool:
        """Whether the measured values show the lesson's claim."""
        return self.lesson.effect(self.measured)


def number(measured: Measured, name: str) -> float:
    """A measured number; 0 for one that could not be measured."""
    value = measured.get(name)
    return value if isinstance(value, (int, float)) else 0.0


def ratio(measured: Measured, larger: str, smaller: str) -> float:
    """The ratio of two measured numbers; 0 if either was not measured or is 0."""
    divisor = number(measured, smaller)
    return number(measured, larger) / divisor if divisor else 0.0
