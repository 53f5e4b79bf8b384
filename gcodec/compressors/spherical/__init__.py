"""`sc`: the paper's Spherical Compression."""
