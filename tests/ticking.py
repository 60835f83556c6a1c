"""Ticks of sensors one after the other, and what Dagster's daemon does between them."""

from __future__ import annotations

import logging

import dagster as dg
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.storage.tags import RUN_KEY_TAG, SENSOR_NAME_TAG

from stupid_dagster.automation.arrivals import arrivals_sensor
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.definitions import defs
from stupid_dagster.project import Project


class Ticking:
    """A project and an instance; `cursor` is that of the sensor `arrivals`."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self.project = project
        self.instance = instance
        self.resource = ProjectResource(root=str(project.settings.root))
        self.cursor: str | None = None
        self.logged: list[str] = []

    def tick(self, sensor: dg.SensorDefinition = arrivals_sensor) -> SensorExecutionData:
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor if sensor is arrivals_sensor else None,
            definitions=defs,
            resources={"project": self.resource},
        )
        handler = logging.Handler()
        handler.emit = lambda record: self.logged.append(record.getMessage())
        self.logged = []
        context.log.addHandler(handler)
        data = sensor.evaluate_tick(context)
        if sensor is arrivals_sensor:
            self.cursor = data.cursor
        return data

    def asked(self) -> list[str]:
        return days_of(self.tick())

    def run(self, request: dg.RunRequest, job: str = "days") -> bool:
        tags = {RUN_KEY_TAG: str(request.run_key), SENSOR_NAME_TAG: "arrivals"}
        result = defs.resolve_job_def(job).execute_in_process(
            partition_key=request.partition_key,
            instance=self.instance,
            resources={"project": self.resource},
            tags=tags,
            raise_on_error=False,
        )
        return result.success

    def start(self, job: str, tags: dict[str, str]) -> dg.DagsterRun:
        job_def = defs.resolve_job_def(job)
        status = dg.DagsterRunStatus.STARTED
        return self.instance.create_run_for_job(job_def, status=status, tags=tags)


def days_of(data: SensorExecutionData) -> list[str]:
    return [str(request.partition_key) for request in data.run_requests or []]
