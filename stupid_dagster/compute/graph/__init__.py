"""The window's graph: walks, ranks, communities, and what its entities have in common."""
