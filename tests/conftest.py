"""Fixtures live beside what they stand for, in `tests/fixtures/`."""

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.market",
    "tests.fixtures.faults",
    "tests.fixtures.faults_writers",
]
