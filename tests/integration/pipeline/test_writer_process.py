"""One writer process and its pipe with a real database: commits, rejections, kills, time-outs."""

from __future__ import annotations

import json
import multiprocessing
import os
import select
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from sp500tui.pipeline.writer import process as writer_process
from sp500tui.pipeline.writer.client import WriterClient, WriterDiedError
from sp500tui.pipeline.writer.framing import encode_frame
from sp500tui.storage import batch_codec as rowcodec
from tests.support.pipeline.rows import row
from tests.support.postgres.server import end_session
from tests.support.waiting import Wait


def never() -> bool:
    return False


@pytest.fixture
def link(migrated_url: str) -> Iterator[WriterClient]:
    """A writer with a connection to the database."""
    made = WriterClient(migrated_url, "writer-7", 5.0)
    assert made.connect(20, never).committed
    yield made
    made.close(kill=True)


def payload(*numbers: int) -> bytes:
    return rowcodec.encode([row(number) for number in numbers])


def process_of(link: WriterClient) -> psutil.Process:
    return psutil.Process(link.pid)


def test_batches_are_committed_once(link: WriterClient, migrated_url: str) -> None:
    first = link.commit(1, payload(1, 2, 3), 10, never)
    again = link.commit(2, payload(2, 3, 4), 10, never)
    assert (first.committed, first.stored, again.stored) == (True, 3, 1)
    assert first.seconds > 0
    with psycopg.connect(migrated_url) as connection:
        assert connection.execute("SELECT count(*) FROM prices").fetchone() == (4,)
        names = connection.execute("SELECT application_name FROM pg_stat_activity").fetchall()
    assert ("sp500tui writer-7",) in names


def test_a_bad_row_is_refused_with_its_sqlstate(link: WriterClient) -> None:
    columns = payload(1).split(b"\n")
    columns[2] = b"{1e999999}"
    answer = link.commit(1, b"\n".join(columns), 10, never)
    assert not answer.committed
    assert (answer.sqlstate or "")[:2] == "22"
    assert link.commit(2, payload(1), 10, never).committed, "the connection is still good"


def test_an_invalid_payload_is_refused(link: WriterClient) -> None:
    assert link.commit(1, b"nonsense", 10, never).sqlstate == "22P02"


def test_it_replaces_a_connection_that_the_server_ended_while_it_was_idle(
    link: WriterClient, migrated_url: str
) -> None:
    """Ended by `idle_session_timeout`, an administrator or the idle time-out of a pooler: this is not an outage."""
    end_session(migrated_url, "sp500tui writer-7")
    assert link.commit(1, payload(1), 10, never).committed


def test_it_connects_again_by_itself(link: WriterClient, migrated_url: str) -> None:
    # given a connection that ends during a statement
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION end_it() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$"
        )
        connection.execute("CREATE TRIGGER end_it BEFORE INSERT ON prices EXECUTE FUNCTION end_it()")
        assert not link.commit(1, payload(1), 10, never).committed
        connection.execute("DROP TRIGGER end_it ON prices")
    assert link.commit(2, payload(1), 10, never).committed


def test_a_process_without_a_temporary_file_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    before = psutil.Process().num_fds()
    with pytest.raises(WriterDiedError, match="cannot start a writer process: No space left on device"):
        WriterClient("postgresql://user@127.0.0.1:1/none", "writer-1", 5.0)
    assert psutil.Process().num_fds() <= before


def test_a_statement_on_a_locked_table_is_cancelled_by_the_server(migrated_url: str) -> None:
    link = WriterClient(migrated_url, "writer-8", 0.3)
    assert link.connect(20, never).committed
    with psycopg.connect(migrated_url) as connection:
        connection.execute("LOCK TABLE prices IN ACCESS EXCLUSIVE MODE")
        answer = link.commit(1, payload(1), 10, never)
    assert answer.sqlstate == "57014"
    assert "statement timeout" in answer.message
    link.close()


def test_a_missing_server_is_reported_in_the_handshake() -> None:
    link = WriterClient("postgresql://user@127.0.0.1:1/none", "writer-1", 5.0)
    answer = link.connect(20, never)
    assert not answer.committed
    assert answer.sqlstate == "08001"
    link.close()


def test_a_death_is_reported_with_its_signal(link: WriterClient) -> None:
    link.kill()
    with pytest.raises(WriterDiedError, match=r"writer-7 \(process \d+\) ended by signal 9") as death:
        link.commit(1, payload(1), 10, never)
    assert death.value.crashed


def test_a_death_by_an_exception_is_reported_with_its_message() -> None:
    link = WriterClient("postgresql://user@127.0.0.1:1/none", "writer-1", 5.0)
    link._configuration = b"{}"
    with pytest.raises(WriterDiedError, match="ended by exit code 1: KeyError"):
        link.connect(20, never)
    link.close()


@pytest.mark.parametrize("rows", [1, 20_000])
def test_a_stopped_process_is_waited_for_only_so_long(link: WriterClient, rows: int) -> None:
    """Even if the pipe is full and the batch cannot be sent."""
    process_of(link).suspend()
    started = time.monotonic()
    with pytest.raises(WriterDiedError, match="did not answer in time") as late:
        link.commit(1, payload(*range(rows)), 0.3, never)
    assert not late.value.crashed
    assert time.monotonic() - started < 30
    link.close(kill=True)
    assert not psutil.pid_exists(link.pid)


def test_waiting_can_be_cancelled(link: WriterClient) -> None:
    process_of(link).suspend()
    with pytest.raises(WriterDiedError, match="stopped before its commit was confirmed"):
        link.commit(1, payload(1), 60, lambda: True)


def test_it_exits_when_the_pipe_is_closed(link: WriterClient, eventually: Wait) -> None:
    process = process_of(link)
    link.close()
    assert not process.is_running()


def test_signals_of_a_terminal_do_not_end_it(link: WriterClient) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(link.pid, number)
    assert link.commit(1, payload(1), 10, never).committed


def test_it_is_detached_from_the_parents_terminal_and_shows_no_password(migrated_url: str) -> None:
    link = WriterClient("postgresql://me:s3cret@127.0.0.1:1/none", "writer-1", 5.0)
    assert os.getsid(link.pid) != os.getsid(0)
    assert "s3cret" not in " ".join(process_of(link).cmdline())
    assert "s3cret" not in link.connect(20, never).message
    link.close()


def test_it_answers_over_any_pipe(migrated_url: str) -> None:
    """The main function of the process, run on a thread of this one."""
    ours, theirs = multiprocessing.Pipe()
    writer = writer_process._Writer(
        theirs, {"url": migrated_url, "name": "writer-9", "statement_timeout": 5.0}
    )
    writer.handshake()
    writer.write(1, payload(1, 2))
    writer.write(2, b"nonsense")
    writer.disconnect()
    writer.disconnect()
    answers = []
    while ours.poll():
        answers.append(json.loads(ours.recv_bytes()))
    kinds = [(answer["kind"], answer.get("stored")) for answer in answers if answer["kind"] != "log"]
    assert kinds == [("ready", None), ("committed", 2), ("failed", None)]


def open_descriptors() -> set[tuple[str, str]]:
    """The descriptors of this process with their targets."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add((entry.name, str(entry.readlink())))
    return {(number, target) for number, target in found if not target.startswith("/proc/")}


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="this system does not list descriptors in /proc"
)
def test_many_concurrent_connections_leave_no_descriptor_open(migrated_url: str) -> None:
    before = open_descriptors()
    links = [WriterClient(migrated_url, f"writer-{n}", 5.0) for n in range(4)]
    threads = [threading.Thread(target=link.connect, args=(20, never)) for link in links]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for link in links:
        link.close()
    assert open_descriptors() - before == set()


@pytest.mark.parametrize("stopped", [False, True], ids=["late", "stopping"])
def test_an_answer_that_came_in_time_counts_although_it_is_read_late(
    link: WriterClient, stopped: bool
) -> None:
    # Given a journal whose write, in parallel with the commit, exceeds the time-out, and a response that has arrived
    limit = 1.0 if not stopped else 30.0
    started = time.monotonic()
    written = threading.Event()

    def write_slowly() -> None:
        assert select.select([link._socket], [], [], 20)[0]
        # A log line may arrive first: wait for the response itself.
        while b"committed" not in link._socket.recv(1 << 16, socket.MSG_PEEK):
            time.sleep(0.001)
        while not stopped and time.monotonic() - started <= limit:
            time.sleep(0.01)
        written.set()

    # When it is read, then it counts
    answer = link.commit(1, payload(1, 2), limit, lambda: stopped and written.is_set(), write_slowly)
    assert (answer.committed, answer.stored) == (True, 2)


def test_a_process_that_sends_log_records_only_is_not_waited_for(link: WriterClient) -> None:
    # Given a process that sends endless log lines and no response
    ours, theirs = socket.socketpair()
    link._socket, real = ours, link._socket
    link._pollin.unregister(real)
    link._pollin.register(ours, select.POLLIN)
    line = encode_frame(
        json.dumps({"kind": "log", "name": "x", "level": 1, "message": "m", "created": 0}).encode()
    )
    sending = threading.Event()
    sending.set()

    def send() -> None:
        while sending.is_set():
            try:
                theirs.sendall(line * 1000)
            except OSError:
                return

    sender = threading.Thread(target=send, daemon=True)
    sender.start()

    # When the time-out has passed, then it still counts as late
    with pytest.raises(WriterDiedError, match="did not answer in time"):
        link._receive(1, time.monotonic() + 0.2, never)
    sending.clear()
    ours.close()
    theirs.close()
    sender.join(10)
    link._socket = real
