"""The naive pipeline's per-actor tables and metrics (see naive.py)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.naive_rules import METRICS, SESSION_GAP_MINUTES, SYMBOLS

Rows = Callable[[Any], Iterator[Any]]


def activity(documents: dict[str, Any], each: Rows) -> list[dict[str, Any]]:
    """Return what each member did, with its sessions."""
    actors: dict[str, dict[str, Any]] = {}
    times = defaultdict(list)
    for event_type, frame in documents.items():
        for event in each(frame):
            member = event["memberCode"]
            if member is None:
                continue
            if member not in actors:
                actors[member] = _nothing(member)
            actor = actors[member]
            times[member].append(event["timestamp"])
            actor["events"] += 1
            actor["is_test"] = actor["is_test"] or event["is_test"]
            if event["on_mobile"] is not None:
                actor["mobile_ratio"] += event["on_mobile"]
                actor["mobile_ratio__n"] += 1
            if event_type == "Login":
                actor["login_count"] += 1
            elif event_type == "GameOpened":
                actor["game_count"] += 1
                if event["gameUid"] is not None:
                    actor["unique_games"].add(event["gameUid"])
            elif event_type == "API Error":
                actor["error_count"] += 1
            elif event_type == "PopupModule" and event["clicked"]:
                actor["popup_clicks"] += 1
            for name, field in (("vip_tier", "rGroup"), ("currency", "currency")):
                value = event.get(field)
                if value is not None:
                    known = actor["last"].get(name)
                    actor["last"][name] = max(
                        known or (event["timestamp"], value), (event["timestamp"], value)
                    )
    rows = []
    for member, actor in sorted(actors.items()):
        moments = sorted(times[member])
        last = {name: value for name, (_, value) in actor.pop("last").items()}
        actor |= {"vip_tier": last.get("vip_tier"), "currency": last.get("currency")}
        actor |= {"first_seen": moments[0], "last_seen": moments[-1]}
        actor["unique_games"] = sorted(actor["unique_games"])
        rows.append(actor | {"sessions": sessions(moments)})
    return rows


def _nothing(member: str) -> dict[str, Any]:
    counters = ("events", "login_count", "game_count", "error_count", "popup_clicks")
    means = ("mobile_ratio", "mobile_ratio__n")
    start = {"actor": f"member:{member}", "is_test": False, "unique_games": set(), "last": {}}
    return start | dict.fromkeys((*counters, *means), 0)


def sessions(moments: list[Any]) -> list[dict[str, Any]]:
    """Return runs of moments, in order, with no longer gap than a session's."""
    found: list[dict[str, Any]] = []
    for moment in moments:
        if found:
            gap = (moment - found[-1]["end"]).total_seconds()
            if gap <= SESSION_GAP_MINUTES * 60:
                found[-1]["end"] = moment
                found[-1]["events"] += 1
                continue
        found.append({"start": moment, "end": moment, "events": 1})
    return found


def sequences(documents: dict[str, Any], each: Rows) -> list[dict[str, Any]]:
    """Return each member's symbols in time order, test accounts left out."""
    found = defaultdict(list)
    for event_type, frame in documents.items():
        code, field = SYMBOLS[event_type]
        for event in each(frame):
            if event["memberCode"] is None or event["is_test"]:
                continue
            value = event[field] if field else None
            shown = str(value).lower() if isinstance(value, bool) else value
            symbol = code if value is None else f"{code}:{shown}"
            found[event["memberCode"]].append((event["timestamp"], symbol))
    rows = []
    for member, pairs in sorted(found.items()):
        pairs.sort()
        times, symbols = zip(*pairs, strict=True)
        rows.append({"actor": f"member:{member}", "symbols": symbols, "times": times})
    return rows


def metrics(documents: dict[str, Any], each: Rows) -> list[dict[str, Any]]:
    """Return the metrics by hour and for the day, whole and split, test accounts left out."""
    events: dict[tuple[Any, ...], int] = defaultdict(int)
    values = defaultdict(set)
    actors = defaultdict(set)
    for event_type, frame in documents.items():
        mine = {name: rule for name, rule in METRICS.items() if event_type in rule[0]}
        for event in each(frame):
            if event["is_test"]:
                continue
            hour, day = event["timestamp"].floor("h"), event["timestamp"].floor("D")
            for name, (_, where, distinct, splits) in mine.items():
                if where and event[where[0]] != where[1]:
                    continue
                value = event[distinct] if distinct else None
                if distinct and value is None:
                    continue
                members = [("", ""), *((field, event.get(field)) for field in splits)]
                for dimension, member in members:
                    if member is None:
                        continue
                    for grain, start in (("hour", hour), ("day", day)):
                        key = (grain, start, name, dimension, member)
                        events[key] += 1
                        if distinct:
                            values[key].add(value)
                        if event["memberCode"] is not None:
                            actors[key].add(event["memberCode"])
    names = ("grain", "time", "metric", "dimension", "member")
    return [
        dict(zip(names, key, strict=True))
        | {
            "value": float(len(values[key]) if key in values else count),
            "events": count,
            "actors": len(actors[key]) if key in actors else 0,
        }
        for key, count in sorted(events.items())
    ]
