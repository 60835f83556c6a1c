"""What a day's events are about: DBSCAN of their texts, noise and bots."""
