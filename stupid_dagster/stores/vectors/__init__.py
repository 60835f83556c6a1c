"""The window's search index: its distinct texts, by meaning and by word, in LanceDB.

Few texts are scanned; from `INDEX_FROM_ROWS` on there is an IVF_FLAT index: several times faster
than the scan, because LanceDB keeps partitions in memory. A small index is probed whole, which is
exact, of a large one the nearest third of the partitions (docs/search-serving.md). LanceDB's HNSW
indices answer faster still, but take a hundred times as long to build, anew every day, and lose
neighbours where a filter and the query disagree.
"""

from stupid_dagster.stores.vectors.build import SearchIndexReport, build_search_index
from stupid_dagster.stores.vectors.reader import RESULT_SCHEMA, Mode, SearchIndex, read_texts

__all__ = [
    "RESULT_SCHEMA",
    "Mode",
    "SearchIndex",
    "SearchIndexReport",
    "build_search_index",
    "read_texts",
]
