"""`verify`: a file held against its own promises and against theory."""
