"""A small event model that has a bit of everything, and landing files for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from stupid_dagster.event_model import EventModel, parse_event_model
from stupid_dagster.ingest import DayDocuments, build_documents, index_landing

DAY = date(2025, 3, 2)
PARTITIONS = (date(2025, 3, 1), date(2025, 3, 31))
GAMING = """
name: games
timezone: Asia/Bangkok
actor: Member
timestamp: {fields: ["@timestamp", clientTime], formats: ["%d.%m.%Y %H:%M:%S"]}
nulls: ["", None, "null", undefined]
aliases: {affiliateId: [affiliateid, affiliateID]}
fields:
  success: {type: boolean}
  isTestAccount: {type: boolean}
  bet: {type: float, unit: THB}
  level: {type: integer}
derived:
  place: {template: "{platform}/{currency}"}
  bet_band: {field: bet, bands: {small: 10, large: 100, huge: null}}
  bet_cents: {field: bet, scale: 100}
  tier: {field: rGroup, map: {VIPB: bronze, VIPS: silver}, otherwise: other}
  on_phone: {field: platform, one_of: [ios, android]}
  time_of_day: {field: local_hour, bands: {night: 6, day: 18}}
test_flag: isTestAccount
session_gap_minutes: 30
entities:
  Member: {prefix: member, key: memberCode, properties: [rGroup, currency, tier, level]}
  Device: {prefix: device, key: fingerprint, properties: platform}
  Game: {prefix: game, key: [gameUid, game], normalise: lower}
  Platform: {prefix: platform, key: platform, normalise: upper}
  Affiliate: {prefix: affiliate, key: affiliateId}
  Error: {prefix: error, key: error, normalise: hash, properties: error}
  Place: {prefix: place, key: place}
  Country: {prefix: country, roles: {home: homeCountry, here: [ipCountry, simCountry]}}
edges:
  LoggedInFrom: {from: Member, to: Device}
  ReferredBy: {from: Member, to: Affiliate}
  OpenedGame: {from: Member, to: Game}
  HitError: {from: Member, to: Error}
  RunsOn: {from: Device, to: Platform}
  Travelled: {from: Country.home, to: Country.here}
events:
  Login:
    aliases: [SignIn]
    fields: [memberCode, success, platform, currency, rGroup, fingerprint, level,
             isTestAccount, affiliateId, homeCountry, ipCountry, simCountry]
    entities: [Member, Device, Platform, Affiliate, Place, Country.home, Country.here]
    edges: [LoggedInFrom, ReferredBy, RunsOn, Travelled]
    text: "Login platform:{platform} vip:{rGroup} success:{success} in the {time_of_day}"
    symbol: {code: L, field: success}
  GameOpened:
    fields: [memberCode, game, gameUid, platform, currency, bet, level, isTestAccount]
    entities: [Member, Game, Platform, Place]
    edges: [OpenedGame]
    text: "GameOpened game:{game:.3} for {bet_band} bets"
    symbol: {code: G}
  API Error:
    fields: [memberCode, error, platform, fingerprint]
    entities: [Member, Error, Device, Platform]
    edges: [HitError, RunsOn]
    text: "Error {error:.100} on {platform}"
features:
  window_days: 7
  columns:
    logins: {count: Login}
    actions: {count: [Login, GameOpened]}
    everything: {count: true}
    failures: {count: Login, where: {success: ["false"], platform: [ios, web]}}
    staked: {sum: bet}
    mean_bet: {mean: bet}
    won_share: {mean: success}
    games: {distinct: game}
    phone_share: {mean: on_phone}
    platforms: {distinct: platform}
    vip: {last: rGroup, encode: {VIPB: 1, VIPS: 2}}
    last_level: {last: level}
    visits: {sessions: count}
    visit_gap: {sessions: mean_gap_hours}
    visit_minutes: {sessions: mean_minutes}
metrics:
  logins: {count: Login, by: [platform, rGroup]}
  all_events: {count: true, by: currency}
  failed: {count: Login, where: {success: "false"}}
  stakes: {sum: bet, by: [platform, bet_band]}
  mean_level: {mean: level, by: platform}
  success_rate: {mean: success}
  players: {distinct: memberCode, by: platform}
  failed_share: {ratio: {numerator: failed, denominator: logins}}
"""


def gaming_model(**changes: str) -> EventModel:
    """Return the model; each change replaces the line `key: ...` of the file's top level."""
    lines = GAMING.splitlines()
    for key, value in changes.items():
        lines = [f"{key}: {value}" if line.startswith(f"{key}:") else line for line in lines]
    return parse_event_model("\n".join(lines))


def land(
    folder: Path,
    event_type: str,
    rows: pl.DataFrame | Iterable[Mapping[str, Any]],
    name: str = f"{DAY}.parquet",
) -> Path:
    """Write a landing file and return it; rows that are no frame become columns of strings."""
    frame = rows
    if not isinstance(rows, pl.DataFrame):
        rows = list(rows)
        columns = list(dict.fromkeys(column for row in rows for column in row))
        frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
    file = folder / event_type / name
    file.parent.mkdir(parents=True, exist_ok=True)
    assert isinstance(frame, pl.DataFrame)
    frame.write_parquet(file)
    return file


def day_documents(model: EventModel, folder: Path, day: date = DAY) -> DayDocuments:
    """Return a day's documents of a landing folder."""
    return build_documents(model, index_landing(model, folder), day, PARTITIONS)
