"""Metrics over time: what they should have been, what was off, why, and what is kept."""
