"""Readers and writers of one lake at the same time; see `run.py`."""
