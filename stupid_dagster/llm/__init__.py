"""Words for what was computed; the deterministic labeller works without any provider."""
