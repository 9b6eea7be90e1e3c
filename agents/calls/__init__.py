"""Calls to providers: the one loop that asks, its limits and retries, and vendors' batches."""
