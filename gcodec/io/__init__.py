"""Files that hold tensors: one module a format.

Each has `Reader(path)` with `meta` and `tensors()` (names and Sources, read piece by piece), and `Writer(path, meta)`
with `add(name, dtype, shape)`, whose result takes the values by `write(start, values)` in order.
"""
