"""`klt`: a low-rank transform of a matrix."""
