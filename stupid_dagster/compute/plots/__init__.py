"""Small pictures for the metadata of assets, as PNG."""
