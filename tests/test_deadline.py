"""Deadlines: what is left of them, and in whose context they hold."""

from __future__ import annotations

import asyncio
import threading

import pytest

from stupid_dagster.deadline import (
    Stop,
    Stopped,
    check,
    current_stop,
    deadline,
    remaining,
    stoppable,
)
from stupid_dagster.errors import TimedOutError


def test_remaining_is_what_the_deadline_leaves() -> None:
    assert remaining() is None
    check()
    with deadline(60):
        left = remaining()
        assert left is not None and 59 < left <= 60
        check()
    assert remaining() is None


def test_no_time_left_is_an_error_that_says_how_long_and_what_to_do() -> None:
    with deadline(0), pytest.raises(TimedOutError, match=r"0 seconds.*step_seconds.*fewer days"):
        check()


def test_an_inner_deadline_counts_alone_and_the_outer_one_comes_back() -> None:
    with deadline(0):
        with deadline(60):
            check()
        with deadline(None):
            check()
            assert remaining() is None
        with pytest.raises(TimedOutError):
            check()


def test_threads_with_a_copy_of_the_context_have_the_deadline_and_others_do_not() -> None:
    seen: list[float | None] = []

    async def ask() -> float | None:
        with deadline(60):
            thread = threading.Thread(target=lambda: seen.append(remaining()))
            thread.start()
            thread.join()
            return await asyncio.to_thread(remaining)

    assert asyncio.run(ask())
    assert seen == [None]


def test_what_was_stopped_has_no_time_left_whatever_its_deadline() -> None:
    stop, done = Stop(), []
    stop.then(lambda: done.append("first"))
    with stoppable(stop):
        assert current_stop() is stop
        assert remaining() is None
        with deadline(60):
            check()
            stop.check()
            stop.stop()
            with pytest.raises(TimedOutError):
                check()
        assert remaining() == 0
        with pytest.raises(Stopped):
            stop.check()
    assert (current_stop(), remaining()) == (None, None)
    stop.stop()
    stop.then(lambda: done.append("late"))
    assert done == ["first", "late"]
