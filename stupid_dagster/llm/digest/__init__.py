"""One paragraph about a window, from its ranked insights: by rule, or by a language model."""
