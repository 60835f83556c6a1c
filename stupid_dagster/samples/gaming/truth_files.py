"""What was planted, as files beside the data."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stupid_dagster.samples.files import write_if_changed
from stupid_dagster.samples.gaming import profile, words
from stupid_dagster.samples.gaming.activity import BOT_SECONDS, bot_games
from stupid_dagster.samples.gaming.columns import JUNK
from stupid_dagster.samples.gaming.randomness import Ints
from stupid_dagster.samples.gaming.truth import Truth


def write_truth(folder: Path, truth: Truth) -> None:
    """Write `members.arrow`, `games.arrow` and `truth.json` into `folder`.

    Raises IngestError when a file can't be written.
    """
    report = _Report(truth)
    write_if_changed(folder / "members.arrow", _arrow(report.members()))
    write_if_changed(folder / "games.arrow", _arrow(report.games()))
    text = json.dumps(report.summary(), indent=1, ensure_ascii=False)
    write_if_changed(folder / "truth.json", text.encode())


@dataclass(frozen=True)
class _Report:
    truth: Truth

    def members(self) -> pa.Table:
        """All members with a row in the files."""
        people = self.truth.world.people
        present = np.flatnonzero(self.truth.last >= 0)
        names = pa.array([*profile.SEGMENT_NAMES, "bot"])
        sharing = [
            f"account-{account}" if account >= 0 else f"device-{device}" if device >= 0 else None
            for account, device in zip(
                people.shared_account[present], people.shared_device[present], strict=True
            )
        ]
        churn = np.where(self.truth.churn_times[present, 0] >= 0, people.churn_day[present], -1)
        return pa.table(
            {
                "memberCode": people.code.take(pa.array(present)),
                "segment": names.take(pa.array(people.segment[present])),
                "vip": pa.array(profile.VIP_GROUPS).take(pa.array(people.vip[present])),
                "currency": pa.array(profile.CURRENCIES).take(pa.array(people.currency[present])),
                "is_test": people.is_test[present],
                "bot_group": _optional(people.bot_group[present]),
                "sharing_group": pa.array(sharing, pa.string()),
                "community": people.community[present],
                "community_after": people.community_after[present],
                "community_2": _optional(people.community_2[present]),
                "churn_day": self._days_of(churn),
                "first_error": self._moments(self.truth.churn_times[present, 0]),
                "second_error": self._moments(self.truth.churn_times[present, 1]),
                "first_active": self._days_of(self.truth.first[present]),
                "last_active": self._days_of(self.truth.last[present]),
                "active_days": self.truth.active_days[present],
                "rows": self.truth.of_member[present],
            }
        )

    def _days_of(self, numbers: Ints) -> pa.Array:
        days = np.datetime64(self.truth.world.first, "D") + numbers
        return pa.array(days, pa.date32(), mask=numbers < 0)

    def _moments(self, at: Ints) -> pa.Array:
        moments = np.datetime64(self.truth.world.first, "ms") + at
        return pa.array(moments, pa.timestamp("ms"), mask=at < 0).cast(pa.timestamp("ms", "UTC"))

    def games(self) -> pa.Table:
        games = self.truth.world.games
        return pa.table(
            {
                "gameUid": pa.array(games.uid, pa.string()),
                "game": games.name,
                "category": [profile.CATEGORIES[number] for number in games.category],
                "provider": games.provider,
                "community": games.community,
                "always_on_offer": games.core,
                "rows": self.truth.opened,
            }
        )

    def summary(self) -> dict[str, Any]:
        world = self.truth.world
        return {
            "parameters": {
                "seed": world.seed,
                "first_day": str(world.first),
                "days": self.truth.days,
                "events_per_day": world.events_per_day,
            },
            "rows": dict(self.truth.rows),
            "events": {day: dict(counts) for day, counts in sorted(self.truth.events.items())},
            "files": self.truth.files,
            "junk_columns": list(JUNK),
            "segments": self._segments(),
            "communities": [
                {"community": number, "category": category}
                for number, category in enumerate(profile.COMMUNITIES)
            ],
            "community_loyalty": profile.COMMUNITY_LOYALTY,
            "bot_groups": self._bots(),
            "shared_accounts": self._accounts(),
            "shared_devices": self._devices(),
            "error_burst": self.truth.burst,
            "shift": self._shifted(),
            "churn": self._churn(),
        }

    def _segments(self) -> list[dict[str, Any]]:
        people = self.truth.world.people
        described = [(s.name, s.description) for s in profile.SEGMENTS]
        described.append(("bot", profile.BOT_DESCRIPTION))
        counts = np.bincount(people.segment[self.truth.last >= 0], minlength=len(described))
        return [
            {"segment": name, "description": text, "members": int(count)}
            for (name, text), count in zip(described, counts, strict=True)
        ]

    def _code(self, member: int | np.integer) -> str:
        return self.truth.world.people.code[int(member)].as_py()

    def _bots(self) -> list[dict[str, Any]]:
        games = self.truth.world.games
        return [
            {
                "bot_group": group,
                "members": [
                    self._code(m)
                    for m in np.flatnonzero(self.truth.world.people.bot_group == group)
                ],
                "games": sorted({games.name[game] for game in of_group}),
                "seconds_between_games": BOT_SECONDS[group],
            }
            for group, of_group in enumerate(bot_games(self.truth.world))
        ]

    def _accounts(self) -> list[dict[str, Any]]:
        people = self.truth.world.people
        used, logins = _degrees(self.truth.used, 0), _degrees(self.truth.logged_in_from, 0)
        return [
            {
                "sharing_group": f"account-{number}",
                "memberCode": self._code(member),
                "devices": len(people.account_devices[number]),
                "devices_used": len(used[int(member)]),
                "devices_logged_in_from": len(logins[int(member)]),
            }
            for number, member in enumerate(np.flatnonzero(people.shared_account >= 0))
        ]

    def _devices(self) -> list[dict[str, Any]]:
        people = self.truth.world.people
        used, logins = _degrees(self.truth.used, 1), _degrees(self.truth.logged_in_from, 1)
        devices = []
        for number in range(int(people.shared_device.max()) + 1):
            members = np.flatnonzero(people.shared_device == number)
            device = int(people.device[members[0]])
            devices.append(
                {
                    "sharing_group": f"device-{number}",
                    "fingerprint": people.fingerprint[device].as_py(),
                    "members": [self._code(m) for m in members],
                    "members_used": len(used[device]),
                    "members_logged_in": len(logins[device]),
                }
            )
        return devices

    def _shifted(self) -> dict[str, Any] | None:
        if self.truth.days <= profile.SHIFT_DAY:
            return None
        return {
            "segment": profile.SEGMENT_NAMES[profile.SHIFTING],
            "from_day": self.truth.date(profile.SHIFT_DAY),
            "from_category": "slots",
            "to_category": "live-casino",
            "opened_by_day_of_file": self.truth.shift,
        }

    def _churn(self) -> dict[str, Any]:
        people = self.truth.world.people
        message, status, stage = words.CHURN
        error = {"event_type": "API Error", "error": message, "status": status, "stage": stage}
        who = np.flatnonzero(self.truth.churn_times[:, 0] >= 0)
        times = self._moments(self.truth.churn_times[who].ravel()).cast(pa.int64()).to_pylist()
        return {
            "sequence": [error, error],
            "quiet_event_type": "GameOpened",
            "quiet_hours": profile.CHURN_QUIET_HOURS,
            "members": [
                {
                    "memberCode": self._code(member),
                    "day": self.truth.date(int(people.churn_day[member])),
                    "first_error": _iso(times[2 * i]),
                    "second_error": _iso(times[2 * i + 1]),
                    "quiet_seen_to_the_end": bool(people.churn_day[member] + 2 < self.truth.days),
                }
                for i, member in enumerate(who)
            ],
        }


def _degrees(pairs: set[tuple[int, int]], side: int) -> dict[int, set[int]]:
    """Return the other ends of the pairs, by their member (side 0) or their device (1)."""
    ends: dict[int, set[int]] = defaultdict(set)
    for pair in pairs:
        ends[pair[side]].add(pair[1 - side])
    return ends


def _optional(numbers: Ints) -> pa.Array:
    return pa.array(numbers, mask=numbers < 0)


def _iso(milliseconds: int) -> str:
    return f"{np.datetime64(milliseconds, 'ms')}Z"


def _arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
