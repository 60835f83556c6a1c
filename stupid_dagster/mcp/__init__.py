"""The snapshot as tools for agents."""
