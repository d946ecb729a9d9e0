"""Rules that decide a snapshot of queries."""
