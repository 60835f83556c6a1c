"""The resource through which assets and sensors reach the project."""

import dagster as dg

from stupid_dagster.project import Project


class ProjectResource(dg.ConfigurableResource):
    """The project in `root`; unset: `STUPID_ROOT`, or the folder that Dagster was started in."""

    root: str | None = None

    def load(self) -> Project:
        """Return the project; raises SettingsError."""
        return Project.load(self.root)
