"""The container, format version 1 (spec/format.md): `layout` has the records, `writer` and `reader` move them."""
