"""Online caching rules."""
