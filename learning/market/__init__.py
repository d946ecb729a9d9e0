"""A learned auctioneer: by how many ticks the clocks of a double Dutch auction jump."""
