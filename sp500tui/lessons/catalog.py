"""All lessons, in the order in which they build on each other."""

from __future__ import annotations

from sp500tui.config.suggestions import suggestion
from sp500tui.errors import ConfigurationError
from sp500tui.lessons.experiments import (
    back_pressure,
    batching,
    computing,
    connections,
    killed_consumer,
    killed_writer,
    lab,
    littles_law,
    ordering,
    overlapping_waits,
    retry_storm,
)
from sp500tui.lessons.lesson import Lesson

LESSONS: tuple[Lesson, ...] = (
    overlapping_waits.LESSON,
    computing.LESSON,
    back_pressure.LESSON,
    littles_law.LESSON,
    batching.LESSON,
    connections.LESSON,
    killed_writer.LESSON,
    killed_consumer.LESSON,
    retry_storm.LESSON,
    ordering.LESSON,
    lab.LESSON,
)


def lesson_named(name: str) -> Lesson:
    """The lesson of that name.

    Raises:
        ConfigurationError: there is none; the message suggests one.
    """
    for lesson in LESSONS:
        if lesson.name == name:
            return lesson
    near = suggestion(name, [lesson.name for lesson in LESSONS])
    raise ConfigurationError(f"unknown lesson '{name}'; {near or '`sp500tui learn` lists the lessons'}")
