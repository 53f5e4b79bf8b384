"""`tcq`: trellis-coded quantisation."""
