"""What the pipeline costs: `make bench`."""
