"""Mutated containers: the engine that makes them, what must hold, and two drivers.

The drivers are `mutate` and `guided`.
"""
