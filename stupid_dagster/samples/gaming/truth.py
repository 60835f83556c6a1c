"""What was planted: counted while the files are made, from what they are made of."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from typing import Any

import numpy as np

from stupid_dagster.samples.gaming import profile, words
from stupid_dagster.samples.gaming.activity import World
from stupid_dagster.samples.gaming.columns import AFFILIATES
from stupid_dagster.samples.gaming.days import DayFile
from stupid_dagster.samples.gaming.profile import DAY_MS, HOUR_MS
from stupid_dagster.samples.gaming.randomness import Ints

NULL_LABELS = ("missing", "None", "null", "undefined", "empty", "whitespace")


class Truth:
    """Counts of what the files of a data set hold, and who its members are.

    Files are added day by day. Where a count is of events, duplicates and rows without a usable
    timestamp are left out.
    """

    def __init__(self, world: World, days: int) -> None:
        self.world, self.days = world, days
        n = len(world.people)
        self.rows: Counter[str] = Counter()
        self.files: dict[str, dict[str, Any]] = {}
        self.events: dict[str, Counter[str]] = defaultdict(Counter)
        self.of_member = np.zeros(n, dtype=np.int64)
        self.first, self.last = np.full(n, -1), np.full(n, -1)
        self.active_days = np.zeros(n, dtype=np.int64)
        self.opened = np.zeros(len(world.games), dtype=np.int64)
        self.logged_in_from: set[tuple[int, int]] = set()
        self.used: set[tuple[int, int]] = set()
        self.burst: dict[str, Any] | None = None
        self.shift: list[dict[str, Any]] = []
        self.churn_times = np.full((n, 2), -1, dtype=np.int64)

    def add(self, day: int, file: DayFile) -> None:
        """Count what is in a file of day number `day`."""
        order, at, stamp = file.dirt.order, file.dirt.at, file.dirt.stamp
        kept = np.unique(order)
        valid = kept[stamp[kept] == 0]
        member = file.columns["memberCode"].codes
        known = member[kept][member[kept] >= 0]
        self.rows[file.event_type] += len(order)
        self.files[f"{file.event_type}/{self.date(day)}.parquet"] = {
            "rows": len(order),
            "columns": file.table.num_columns,
            "duplicates": len(order) - len(kept),
            "previous_day": int((at[valid] < 0).sum()),
            "next_day": int((at[valid] >= DAY_MS).sum()),
            "timestamps_missing": int((stamp[kept] < 0).sum()),
            "timestamps_garbled": int((stamp[kept] > 0).sum()),
            **self._values(file),
        }
        events = self.events
        shown = "PopupModule" if file.event_type == profile.POPUP_NEW_SPELLING else file.event_type
        for shift, count in zip(*np.unique(at[valid] // DAY_MS, return_counts=True), strict=True):
            events[self.date(day + int(shift))][shown] += int(count)

        self.of_member += np.bincount(known, minlength=len(self.of_member))
        seen = np.unique(known)
        self.first[seen[self.first[seen] < 0]] = day
        self.active_days[seen[self.last[seen] != day]] += 1
        self.last[seen] = day
        self._share(file, kept)
        if file.event_type == "GameOpened":
            self._count_games(day, file, kept)
        elif file.event_type == "API Error":
            self._count_errors(day, file, valid)

    def date(self, day: int) -> str:
        """Return a day's date, such as `2025-03-01`."""
        return str(self.world.first + timedelta(days=day))

    def _values(self, file: DayFile) -> dict[str, Any]:
        """Nulls, spellings and test accounts: of all rows of the file, duplicates too."""
        order, people = file.dirt.order, self.world.people
        nulls: dict[str, dict[str, int]] = {}
        variants: dict[str, int] = {}
        for name, column in file.columns.items():
            if name not in file.table.column_names:
                continue
            codes = column.codes[order]
            counts = np.bincount(-1 - codes[codes < 0], minlength=len(NULL_LABELS))
            nulls[name] = {
                label: int(count) for label, count in zip(NULL_LABELS, counts, strict=True) if count
            }
            if column.plain is not None:
                variants[name] = int((codes >= column.plain).sum())
        member = file.columns["memberCode"].codes[order]
        flags = file.columns["isTestAccount"].codes[order]
        return {
            "nulls": nulls,
            "case_variants": variants,
            "affiliate_spellings": {
                name: int((file.columns[name].codes[order] >= 0).sum())
                for name in AFFILIATES
                if name in nulls
            },
            "test_flagged": int(((flags >= 0) & (flags < len(profile.TRUE_SPELLINGS))).sum()),
            "of_test_members": int((people.is_test[member] & (member >= 0)).sum()),
        }

    def _share(self, file: DayFile, kept: Ints) -> None:
        people = self.world.people
        member = file.columns["memberCode"].codes[kept]
        device = file.columns["fingerprint"].codes[kept]
        shares = (people.shared_account[member] >= 0) | (people.shared_device[member] >= 0)
        chosen = shares & (member >= 0) & (device >= 0)
        pairs = set(zip(member[chosen].tolist(), device[chosen].tolist(), strict=True))
        self.used |= pairs
        if file.event_type == "Login":
            self.logged_in_from |= pairs

    def _count_games(self, day: int, file: DayFile, kept: Ints) -> None:
        games, people = self.world.games, self.world.people
        game = file.columns["game"].codes[kept]
        game = np.where(game >= 0, game % len(games), file.columns["gameUid"].codes[kept])
        self.opened += np.bincount(game[game >= 0], minlength=len(games))
        member = file.columns["memberCode"].codes[kept]
        category = file.columns["category"].codes[kept]
        shifting = (people.segment[member] == profile.SHIFTING) & (member >= 0) & (category >= 0)
        counts = np.bincount(
            category[shifting] % len(profile.CATEGORIES), minlength=len(profile.CATEGORIES)
        )
        by_category = dict(zip(profile.CATEGORIES, counts.tolist(), strict=True))
        self.shift.append({"day": self.date(day), "opened": by_category})

    def _count_errors(self, day: int, file: DayFile, valid: Ints) -> None:
        rows, at, errors = file.rows, file.dirt.at, self.world.errors
        if day == profile.BURST_DAY:
            mine = valid[(rows.error[valid] == errors.burst) & (at[valid] // DAY_MS == 0)]
            hourly = np.bincount(at[mine] // HOUR_MS, minlength=24).tolist()
            message, status, stage = words.BURST
            self.burst = {
                "day": self.date(day),
                "hour_utc": profile.BURST_HOUR,
                **{"error": message, "status": status, "stage": stage},
                "rows_added": file.rows.burst,
                "rows": hourly[profile.BURST_HOUR],
                "rows_by_hour_of_day": hourly,
            }
        planted = np.flatnonzero(rows.planted & (rows.error == errors.churn))
        planted = planted[np.argsort(at[planted])]
        half = len(planted) // 2
        who = rows.member[planted]
        # Each of them has two: sorted by member, then by time.
        both = planted[np.argsort(who, kind="stable")].reshape(half, 2)
        self.churn_times[rows.member[both[:, 0]]] = at[both] + day * DAY_MS
