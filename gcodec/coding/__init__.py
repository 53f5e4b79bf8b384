"""Entropy codes over arrays of levels."""
