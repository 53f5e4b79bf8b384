"""The container, format version 1 (spec/format.md).

`layout` packs and unpacks, `writer` and `reader` do the rest.
"""
