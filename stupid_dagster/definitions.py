"""All that Dagster loads: `dagster dev` and every run start here."""

import dagster as dg

import assets
from stupid_dagster.automation.arrivals import arrivals_sensor
from stupid_dagster.automation.daily import daily_sensor
from stupid_dagster.automation.eviction import eviction_job, eviction_sensor, garbage_job
from stupid_dagster.automation.executors import executor
from stupid_dagster.automation.jobs import (
    day_job,
    hourly_schedule,
    newest_window_sensor,
    window_job,
)
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.project import Project

defs = dg.Definitions(
    assets=dg.load_assets_from_package_module(assets),
    jobs=[day_job, window_job, eviction_job, garbage_job],
    schedules=[hourly_schedule],
    sensors=[arrivals_sensor, daily_sensor, newest_window_sensor, eviction_sensor],
    resources={"project": ProjectResource()},
    executor=executor(Project.load().settings),
)
