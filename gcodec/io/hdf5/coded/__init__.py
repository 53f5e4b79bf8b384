"""Datasets whose chunks gcodec's own filter coded: each chunk is a container (docs/stores.md).

Their values are decoded by gcodec, from the bytes of the chunks. HDF5 needs no filter for that, in
this process or in the child.
"""
