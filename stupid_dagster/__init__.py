"""Turn raw daily event logs into knowledge that people can query."""

import os

__version__ = "0.1.0"

# Polars' allocator (jemalloc) gives freed memory back within half a second, and a stage that works
# through hundreds of megabytes faults it in again and again: a fifth of its CPU. Ten seconds are
# kept instead. It is read when Polars is loaded, which is after this, and what the user has set
# stays.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:10000,muzzy_decay_ms:10000")
