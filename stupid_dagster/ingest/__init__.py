"""Landing files in, a day's documents and rejects out."""

from stupid_dagster.ingest.documents import DayDocuments, build_documents
from stupid_dagster.ingest.landing import LandingFile, LandingIndex, index_landing

__all__ = ["DayDocuments", "LandingFile", "LandingIndex", "build_documents", "index_landing"]
