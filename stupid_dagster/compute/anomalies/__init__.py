"""Unusual actors: signals, the score made of them, and the causes they have in common."""
