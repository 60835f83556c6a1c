"""Query plans: steps over all stores, checked before they run."""
