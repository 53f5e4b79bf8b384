"""What methods and the operators of the literature cost on given tensors: the work behind `gcodec compare`.

`measure` runs one of them on one tensor, `compare` all of them on all tensors; `summary` turns what was measured into rows, curves and
a recommendation, which `picture` draws and `page` writes as HTML.
"""
