"""The settings of a project: one table of them, and how they are loaded."""

from stupid_dagster.settings.load import load_settings
from stupid_dagster.settings.table import SETTINGS, Settings

__all__ = ["SETTINGS", "Settings", "load_settings"]
