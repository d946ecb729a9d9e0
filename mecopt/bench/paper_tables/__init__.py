"""Tables that set our figures beside a paper's: ours, published, difference, tag."""
