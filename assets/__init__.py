"""The pipeline as Dagster assets: wiring only; the work is in `stupid_dagster.stages`."""
