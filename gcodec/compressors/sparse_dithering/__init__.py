"""`sd` and `rsd`: the paper's Sparse Dithering."""
