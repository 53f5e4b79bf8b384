"""`geometric`: magnitudes in intervals of one relative width, entropy coded."""
