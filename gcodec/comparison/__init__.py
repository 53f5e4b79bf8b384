"""What methods and the operators of the literature cost on given tensors, for `gcodec compare`.

`measure` runs one of them on one tensor, and `compare` runs all of them on all tensors. `summary`
turns what was measured into rows, curves and a recommendation. `picture` draws these, and `page`
writes them as HTML.
"""
