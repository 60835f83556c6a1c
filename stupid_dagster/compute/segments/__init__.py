"""Segments of actors by what they do: features, k-means, and what marks a segment."""
