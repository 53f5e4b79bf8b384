"""Files that hold tensors: one module a format, each with a Reader and a Writer as `formats` describes them."""
