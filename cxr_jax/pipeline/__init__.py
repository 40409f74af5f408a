"""From files on disk to batches: records, splits, the decode-once cache, the loader."""
