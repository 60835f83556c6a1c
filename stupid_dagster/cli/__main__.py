"""`python -m stupid_dagster.cli`."""

from stupid_dagster.cli import main

main()
