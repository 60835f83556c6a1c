"""The algorithms: tables in, tables out; no lake, no Dagster."""
