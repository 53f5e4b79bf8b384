"""Kernels of quantised values: the search for levels, their tables, and the values again."""
