"""Compressors: one file each. They hold parameters and call kernels; no loops over elements."""
