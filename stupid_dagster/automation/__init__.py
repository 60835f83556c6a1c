"""What Dagster runs by itself: jobs, schedules and sensors, and the resource they share."""

import warnings

import dagster as dg

# Dagster tells of its parts that are beta; who runs the pipeline can't act on it.
# What was asked for by `-W` comes first.
warnings.simplefilter("ignore", dg.BetaWarning, append=True)
warnings.simplefilter("ignore", dg.PreviewWarning, append=True)
