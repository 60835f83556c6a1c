"""Questions in plain words: a language model makes the plan, and tells what came of it."""
