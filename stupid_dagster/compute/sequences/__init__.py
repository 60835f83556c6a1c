"""What actors do one after another: timelines, and PrefixSpan's frequent patterns."""
