"""Call markets of several units a trader: step bids, one good, cleared at once."""
