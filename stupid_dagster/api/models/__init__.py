"""Shapes of the answers, for the OpenAPI page; those of tables are made from `tables.TABLES`."""
