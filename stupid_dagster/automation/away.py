"""Sensors of a lake whose bucket may be away: a tick that is skipped, not one that failed."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import dagster as dg

from stupid_dagster.errors import UnavailableError

P = ParamSpec("P")
T = TypeVar("T")


def skipped_while_away(look: Callable[P, T]) -> Callable[P, T | dg.SkipReason]:
    """Return a sensor's function that skips, with the reason, where a bucket gives no answer."""

    @wraps(look)
    def tick(*args: P.args, **kwargs: P.kwargs) -> T | dg.SkipReason:
        try:
            return look(*args, **kwargs)
        except UnavailableError as error:
            return dg.SkipReason(str(error))

    return tick
