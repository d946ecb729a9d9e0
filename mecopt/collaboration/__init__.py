"""Collaborative edge computing: nodes that fail, links between them, tasks that travel a few hops.

Instances are those of the offloading kernel (`mecopt.collaboration.episode`), so its replay, bounds
and certificates serve them. `mecopt.collaboration.expected` makes the second instance, whose bound
holds for every rule that knows failure rates only.
"""
