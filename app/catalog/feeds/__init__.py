"""Stock feeds: one adapter per source kind, all ending in the same record.

To add a source kind, add one module here with a module-level `ADAPTER` (see `record.FeedAdapter`).
"""
