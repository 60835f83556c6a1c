"""Where tables live: the lake with its versions and snapshots, LanceDB, the graph database."""
