"""Work that outlasts its deadline: left to itself, never in the way of other work, bounded."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from stupid_dagster.deadline import deadline
from stupid_dagster.errors import BusyError, TimedOutError
from stupid_dagster.query.workers import Workers
from tests.api.serving import seconds_until


def give_up(workers: Workers, work: Callable[[], object]) -> None:
    with deadline(0.02), pytest.raises(TimedOutError):
        workers.run(work)


def test_given_up_work_keeps_nobody_waiting_until_there_is_too_much() -> None:
    workers, over = Workers(5), threading.Event()
    for number in range(5):
        assert workers.abandoned == number
        with deadline(5):
            assert workers.run(lambda: 7) == 7
        give_up(workers, over.wait)
    started = time.monotonic()
    with deadline(5), pytest.raises(BusyError, match="5 queries"):
        workers.run(lambda: 7)
    assert time.monotonic() - started < 1
    over.set()
    seconds_until(lambda: workers.abandoned == 0)
    with deadline(5):
        assert workers.run(lambda: 7) == 7


def test_so_much_runs_at_once_and_the_rest_waits_its_turn() -> None:
    workers, running, most = Workers(3), 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    def ask() -> None:
        with deadline(20):
            workers.run(work)

    with ThreadPoolExecutor(12) as pool:
        for asked in [pool.submit(ask) for _ in range(60)]:
            asked.result()
    assert most == 3


def test_who_asks_again_and_again_leaves_room_to_others() -> None:
    workers, over = Workers(1), threading.Event()

    def greedy() -> None:
        while not over.is_set():
            workers.run(lambda: time.sleep(0.02))

    thread = threading.Thread(target=greedy)
    thread.start()
    try:
        for _ in range(10):
            with deadline(0.5):
                assert workers.run(lambda: 7) == 7
    finally:
        over.set()
        thread.join()


def test_who_gets_no_place_is_refused_at_the_deadline_or_when_all_are_lost() -> None:
    workers, over = Workers(1), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(workers.run, over.wait)
        with deadline(0.1), pytest.raises(BusyError, match="1 other"):
            workers.run(lambda: 7)
        over.set()
        slow.result()
        over.clear()
        losing = pool.submit(give_up, workers, over.wait)
        seconds_until(lambda: workers._running == 1)
        started = time.monotonic()
        with deadline(20), pytest.raises(BusyError, match="still run"):
            workers.run(lambda: 7)
        assert time.monotonic() - started < 5
        losing.result()
    over.set()
    seconds_until(lambda: workers.abandoned == 0)


def test_what_work_raises_is_raised_and_its_thread_goes_on() -> None:
    workers = Workers(1)

    class PanicError(BaseException):
        pass

    def fail() -> None:
        raise PanicError("broken")

    before = threading.active_count()
    for _ in range(20):
        with deadline(5), pytest.raises(PanicError, match="broken"):
            workers.run(fail)
    assert threading.active_count() <= before + 1
    with deadline(0), pytest.raises(TimedOutError):
        workers.run(lambda: pytest.fail("must not run"))
    assert workers.run(lambda: 7) == 7  # Without a deadline too.


def test_no_thread_keeps_the_last_result() -> None:
    class Big:
        pass

    workers = Workers(1)
    with deadline(5):
        kept = weakref.ref(workers.run(Big))
    gc.collect()
    assert kept() is None


def test_much_at_once_with_some_given_up_gets_each_its_own() -> None:
    workers = Workers(1_000)

    def ask(number: int) -> int:
        try:
            with deadline(0.02 if number % 5 == 0 else 20):
                return workers.run(lambda: (time.sleep(0.03 * (number % 5 == 0)), number)[1])
        except TimedOutError:
            return number

    with ThreadPoolExecutor(20) as pool:
        assert [*pool.map(ask, range(500))] == [*range(500)]
    seconds_until(lambda: workers.abandoned == 0)


def test_a_process_ends_while_given_up_queries_run() -> None:
    """Polars goes on for many seconds; the interpreter doesn't wait for it, and doesn't crash."""
    code = """
import polars as pl
from stupid_dagster.deadline import deadline
from stupid_dagster.errors import TimedOutError
from stupid_dagster.query.frames import collected

texts = pl.select(text=pl.int_range(500_000).cast(pl.String) + "-long-enough").lazy()
scan = pl.concat([texts.filter(pl.col("text").str.contains(rf"{i}.*{i}.*x")) for i in range(500)])
for _ in range(2):
    try:
        with deadline(0.05):
            collected(scan)
    except TimedOutError:
        print("given up")
"""
    started = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "given up\n" * 2), ended.stderr
    assert time.monotonic() - started < 5
