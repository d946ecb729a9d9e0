"""The double Dutch auction: its clocks, its rule, its variants."""
