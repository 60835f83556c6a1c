"""The audit: does anything in any store still speak of an evicted day?

It looks at what is live, what a kept snapshot names, and what lies on the disk. `references` are
values that name a day before the horizon or are computed of one; `orphans` are ids and rows that
no kept day has. Both must be none after an eviction; docs/eviction.md tells what that proves.
"""

from stupid_dagster.stages.audit.run import CHECK, Audited, Finding, audit, newest_horizon

__all__ = ["CHECK", "Audited", "Finding", "audit", "newest_horizon"]
