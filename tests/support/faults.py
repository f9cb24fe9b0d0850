"""Fixtures for fault injection."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.postgres.server import public_folder


@pytest.fixture
def small_disk() -> Iterator[Callable[[int], Path]]:
    """Mounts a tmpfs of the given size in KiB; skips where that is not permitted."""
    with ExitStack() as mounted:

        def mount(kib: int) -> Path:
            folder = public_folder()
            mounted.callback(folder.rmdir)
            command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=0711", "tmpfs", str(folder)]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                pytest.skip("mounting a tmpfs is not permitted here")
            mounted.callback(subprocess.run, ["umount", "-l", str(folder)], check=True)
            return folder

        yield mount


@pytest.fixture
def rng() -> random.Random:
    """A random generator whose seed is printed if the test fails; `SP500TUI_TEST_SEED` sets the seed."""
    seed = int(os.environ.get("SP500TUI_TEST_SEED") or random.SystemRandom().randrange(1 << 30))
    sys.stdout.write(f"SP500TUI_TEST_SEED={seed}\n")
    return random.Random(seed)
