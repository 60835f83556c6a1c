"""What must hold of a lake whatever happened to its writers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import polars as pl

from stupid_dagster.project import Project
from stupid_dagster.stages.window import PINS, PREVIOUS
from stupid_dagster.stores.graph.schema import DATABASE_FILE
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.ledger import FOLDER, SNAPSHOT_ID
from stupid_dagster.stores.snapshots import (
    USES,
    Manifest,
    open_snapshot,
    published_id,
    snapshot_ids,
)
from stupid_dagster.stores.vectors.metadata import TABLE
from stupid_dagster.stores.version import VERSION_FILE, Version
from stupid_dagster.tables import DAY_TABLES, WINDOW_TABLES
from tests.faults.rounds import planted_rows, rounds_in

SAYS_ALL = ("graph_nodes", "graph_edges", "search_index", "graph_database", "degrees", "pagerank")
"""Window tables that name something of every round that they are made of."""
_DAY_SAYS_ALL = ("entities", "edges", "texts", "activity", "sequences", "metrics")


def check_lake(project: Project) -> Manifest | None:
    """Check all that readers may be led to, and return what is published.

    Every live version is whole, nothing that is named is a temporary folder, the versions that
    a window is made of are there, and the published snapshot is of one piece.
    """
    lake = project.lake
    for table in lake.tables():
        for partition in lake.partitions(table):
            version = lake.live(table, partition)
            _check_whole(lake, version)
            for address in version.metadata.get(USES, ()) if table == PINS else ():
                _check_whole(lake, _version(lake, *address.split("/")))
    if published_id(lake) is None:
        return None
    for name in snapshot_ids(lake):
        manifest = open_snapshot(lake, name).manifest
        _check_files(lake, manifest)
    return check_snapshot(project)


def check_snapshot(project: Project, snapshot_id: str | None = None) -> Manifest:
    """Check that all that a snapshot (the published) says of a day is of one round.

    Its window's tables are made of the versions that `window_days` names, and these are the
    snapshot's own, but for days that were evicted from it.
    """
    lake = project.lake
    manifest = open_snapshot(lake, snapshot_id).manifest
    _check_files(lake, manifest)
    pins = manifest.of(PINS)[manifest.last_day]
    made_of = {tuple(address.split("/")[:2]): address for address in pins.metadata[USES]}
    for table in DAY_TABLES:
        for day, version in manifest.of(table).items():
            assert version.address == made_of[table, day], f"{version.address} isn't pinned"
    rounds: dict[str, int] = {}
    for day, version in manifest.of("documents").items():
        documents = frame_of(lake, version)
        (rounds[day],) = rounds_in(documents)
        planted = documents["tailnum"].str.starts_with("ZQ").sum()
        assert planted == planted_rows(rounds[day]), f"{version.address}: {planted} planted rows"
        for table in DAY_TABLES:
            found = rounds_in(frame_of(lake, manifest.of(table)[day]))
            assert found <= {rounds[day]}, f"{table} {day}: {found}, not {rounds[day]}"
            assert found or table not in _DAY_SAYS_ALL, f"{table} {day} lacks {rounds[day]}"
    if not rounds:
        return manifest
    whole = manifest.days == sorted({day for _, day in made_of})
    for table in WINDOW_TABLES:
        version = manifest.of(table)[manifest.last_day]
        assert table == PINS or version.metadata[PINS] == pins.name, f"{version.address} is older"
        found = rounds_in(frame_of(lake, version))
        # Insights may tell of what was in the window before and is gone. Where a day was evicted
        # since, what was computed of it is served till the next window.
        others = not whole or (table == "insights" and pins.metadata[PREVIOUS])
        assert found <= {*rounds.values()} or others, f"{table}: {found}, not {rounds}"
        if table in SAYS_ALL:
            assert found >= {*rounds.values()}, f"{table}: {found}, not {rounds}"
    _check_counts(lake, manifest, whole)
    return manifest


def rounds_served(project: Project) -> set[int]:
    """Return the rounds of the documents that are published."""
    versions = open_snapshot(project.lake).manifest.of("documents").values()
    return {n for version in versions for n in rounds_in(frame_of(project.lake, version))}


def check_clean(lake: Lake) -> None:
    """Check that the lake holds nothing but live and published versions."""
    named = {
        lake.live(table, partition).address
        for table in lake.tables()
        for partition in lake.partitions(table)
    }
    for name in snapshot_ids(lake):
        for partitions in open_snapshot(lake, name).manifest.versions.values():
            named |= {version.address for version in partitions.values()}
    for held in lake.inventory.partitions():
        for left in (*held.versions, *held.abandoned):
            assert left.address in named, f"{left.address} is left over"
        assert not held.others, f"{held.others} are left in {held.table}/{held.partition}"
    manifests = {Path(entry.key).stem for entry in lake.files.below(FOLDER)}
    assert manifests == {*snapshot_ids(lake)}, f"there are manifests of {manifests}"
    # Of a lake in a bucket this is the machine's own folder; what it has fetched may stay.
    odd = [path for path in lake.root.rglob(".*") if path.name not in (VERSION_FILE, ".cache")]
    assert not odd, f"temporary names are left: {odd}"


def differences(lake: Lake, other: Lake) -> list[str]:
    """Return in what live tables two lakes differ, apart from times and versions' names."""
    found = []
    for table in sorted({*lake.tables(), *other.tables()}):
        ours, theirs = lake.partitions(table), other.partitions(table)
        if ours != theirs:
            found.append(f"{table} has {ours}, not {theirs}")
            continue
        for partition in ours:
            one, two = lake.live(table, partition), other.live(table, partition)
            if one.files != two.files and not _equal(frame_of(lake, one), frame_of(other, two)):
                found.append(f"{table} {partition} differs")
    return found


def frame_of(lake: Lake, version: Version) -> pl.DataFrame:
    """Return all that a version of any table holds."""
    if version.table not in ("catalog", "search_index", "graph_database"):
        return lake.scan_versions([version]).collect()
    folder = lake.version_path(version)
    try:
        if version.table == "catalog":
            return pl.DataFrame({"catalog": [(folder / "catalog.json").read_text()]})
        if version.table == "graph_database":
            return _graph(folder / DATABASE_FILE)
        import lancedb

        table = lancedb.connect(folder).open_table(TABLE)
        frame = pl.from_arrow(table.to_arrow())
        assert isinstance(frame, pl.DataFrame)
        return frame
    finally:
        lake.release(version)


def half_made(lake: Lake) -> list[str]:
    """Return the addresses of what writers were killed in the middle of."""
    return sorted(left.address for held in lake.inventory.partitions() for left in held.abandoned)


def _graph(file: Path) -> pl.DataFrame:
    import kuzu

    queries = (
        "MATCH (n:Entity) RETURN n.entity_id, '', n.type, n.events",
        "MATCH (a)-[e]->(b) RETURN a.entity_id, b.entity_id, label(e), e.weight",
    )
    rows: list[Any] = []
    with (
        kuzu.Database(str(file), read_only=True, buffer_pool_size=1 << 26) as database,
        kuzu.Connection(database) as connection,
    ):
        for query in queries:
            with cast(kuzu.QueryResult, connection.execute(query)) as result:
                rows += result.get_all()
    return pl.DataFrame(rows, schema=["source", "target", "type", "events"], orient="row")


def _check_files(lake: Lake, manifest: Manifest) -> None:
    for partitions in manifest.versions.values():
        for version in partitions.values():
            _check_whole(lake, version)


def _check_whole(lake: Lake, version: Version) -> None:
    assert SNAPSHOT_ID.fullmatch(version.name), f"{version.address} is a temporary folder"
    damaged = lake.damaged(version, checksums=True)
    assert not damaged, f"damaged: {damaged}"
    there = {entry.key.split("/", 3)[3] for entry in lake.files.below(version.address)}
    own = {*version.files, VERSION_FILE}
    assert there == own, f"{lake.url}/{version.address} has others than its own files"


def _version(lake: Lake, table: str, partition: str, name: str) -> Version:
    found = lake.find(table, partition, name)
    assert found, f"{table}/{partition}/{name} is gone, though a window is made of it"
    return found


def _check_counts(lake: Lake, manifest: Manifest, whole: bool) -> None:
    """Check that the catalog and the nodes count the events that the documents have."""
    days = [frame_of(lake, version) for version in manifest.of("documents").values()]
    (text,) = frame_of(lake, manifest.of("catalog")[manifest.last_day])["catalog"]
    counted = sum(part["documents"] for part in json.loads(text)["events"].values())
    events = sum(day.height for day in days)
    assert counted == events or not whole, f"the catalog has {counted} events of {events}"
    nodes = frame_of(lake, manifest.of("graph_nodes")[manifest.last_day])
    aircraft = nodes.filter(pl.col("entity_id").str.contains("(?i)^aircraft:zq"))
    planted = sum(int(day["tailnum"].str.starts_with("ZQ").sum()) for day in days)
    counted = int(aircraft["events"].sum())
    assert counted == planted or not whole, f"{counted} events of planted aircraft, of {planted}"


def _equal(one: pl.DataFrame, two: pl.DataFrame) -> bool:
    one, two = (_sorted(frame.drop("version", strict=False)) for frame in (one, two))
    return one.equals(two)


def _sorted(frame: pl.DataFrame) -> pl.DataFrame:
    keys: Iterable[str] = [
        name for name, dtype in frame.schema.items() if not dtype.is_nested() and name != "vector"
    ]
    return frame.sort(list(keys)) if keys else frame
