"""Products of matrices, and orthonormal columns, by sums in a fixed order."""
