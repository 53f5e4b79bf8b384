"""`lossless`: byte planes, bit for bit."""
