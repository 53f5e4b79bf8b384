"""Entropy codes over arrays of levels, and bit strings."""
