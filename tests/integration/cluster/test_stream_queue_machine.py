"""The state machine of `tests/unit/pipeline/core/test_queue_machine.py`, unchanged, over a queue on a real broker."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.queue.stream_queue import StreamQueue
from sp500tui.pipeline.core.queue import LeasedQueue
from tests.support.cluster.valkey import NumberCodec, ValkeyServer
from tests.unit.pipeline.core.test_queue_machine import QueueMachine


class StreamQueueMachine(QueueMachine):
    broker: Broker
    numbers = itertools.count()

    def make(self, capacity: int) -> LeasedQueue[int]:
        return StreamQueue(
            self.broker, f"queue-{next(self.numbers)}", NumberCodec(), capacity, consumer="here"
        )


@pytest.fixture(scope="module", autouse=True)
def _broker(valkey: ValkeyServer) -> Iterator[None]:
    StreamQueueMachine.broker = Broker(valkey.url, f"machine-{uuid.uuid4().hex[:12]}")
    StreamQueueMachine.broker.open()
    yield
    StreamQueueMachine.broker.close()


TestStreamQueue = StreamQueueMachine.TestCase
TestStreamQueue.settings = settings(
    max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
