"""Mutated containers: the engine that makes them, what must hold of each, and two drivers (`mutate`, `guided`)."""
