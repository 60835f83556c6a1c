"""Days of the window, and the times that they begin at in the event model's timezone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from stupid_dagster.errors import InvalidQueryError
from stupid_dagster.stores.snapshots import Manifest


def snapshot_days(manifest: Manifest, first: date | None, last: date | None) -> list[str]:
    """Return the snapshot's days from `first` to `last`, by default the window's ends.

    Days of the window without documents are left out. Raises InvalidQueryError for days outside
    the window.
    """
    low, high = manifest.first_day, manifest.last_day
    begin, end = (first.isoformat() if first else low), (last.isoformat() if last else high)
    if first and last and first > last:
        raise InvalidQueryError(f"the first day, {begin}, comes after the last, {end}")
    if not low <= begin <= end <= high:
        asked = f"{begin} to {end}" if begin <= end else begin if first else end
        raise InvalidQueryError(
            f"{asked} isn't within the window, {low} to {high}: only its days can be asked for"
        )
    return [day for day in manifest.days if begin <= day <= end]


def day_of(moment: datetime, zone: ZoneInfo) -> str:
    """Return the day that a time falls on in the zone."""
    return moment.astimezone(zone).date().isoformat()


def day_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return when a day of the zone begins and ends (excluded), in UTC."""
    begin, end = (datetime.combine(d, time(), zone) for d in (day, day + timedelta(days=1)))
    return begin.astimezone(UTC), end.astimezone(UTC)


def utc(moment: datetime, where: str) -> datetime:
    """Return a time in UTC; one without an offset is UTC's already. Raises InvalidQueryError."""
    # The calendar's first and last year have times that some timezone can't state.
    if not 1 < moment.year < 9999:
        raise InvalidQueryError(f"{where}: {moment.isoformat()} is out of range")
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
