"""`dither`: subtractive dither through a trellis; unbiased."""
