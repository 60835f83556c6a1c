"""Running jobs and asking sensors, as Dagster does, around evictions."""

from __future__ import annotations

from typing import Any

import dagster as dg

from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.definitions import defs
from stupid_dagster.project import Project

DAYS = [f"2013-02-0{n}" for n in range(4, 9)]


def run(
    instance: dg.DagsterInstance, project: Project, job: str, partition: str | None
) -> dg.ExecuteInProcessResult:
    result = defs.resolve_job_def(job).execute_in_process(
        partition_key=partition,
        instance=instance,
        resources={"project": ProjectResource(root=str(project.settings.root))},
    )
    assert result.success
    return result


def evict(instance: dg.DagsterInstance, project: Project) -> dict[str, Any]:
    """Run the job; return the eviction's metadata, with the outcome of the audit's check."""
    result = run(instance, project, "evict", None)
    (check,) = result.get_asset_check_evaluations()
    (made,) = result.asset_materializations_for_node("eviction")
    (audited,) = result.asset_materializations_for_node("audit")
    assert check.check_name == "no_references" and check.severity == dg.AssetCheckSeverity.ERROR
    found: dict[str, Any] = {name: value.value for name, value in audited.metadata.items()}
    assert check.passed == (found["references"] + found["orphans"] == 0)
    assert {"plot", "newest audit", "bytes_on_disk"} <= found.keys()
    metadata = {name: value.value for name, value in made.metadata.items()}
    return metadata | {"passed": check.passed, "told": check.description}


def ask(sensor: dg.SensorDefinition, instance: dg.DagsterInstance, project: Project):
    resource = ProjectResource(root=str(project.settings.root))
    return sensor(dg.build_sensor_context(instance=instance, resources={"project": resource}))
