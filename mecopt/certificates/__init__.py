"""Slow, readable recomputation in exact integers: what `mecopt verify` trusts.

Nothing here is compiled, calls a solver, or shares code with the fast kernels and pricing.
"""
