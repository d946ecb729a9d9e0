"""The audit: what a mechanism promises, held against what it does."""
