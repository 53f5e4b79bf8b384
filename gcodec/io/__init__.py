"""Files that hold tensors: one module a format, with a Reader and a Writer as in `formats`."""
