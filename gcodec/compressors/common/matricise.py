"""The matrix view of a tensor: rows that share a scale, columns that share a scale."""

import math


def matricise(shape: tuple[int, ...]) -> tuple[int, int]:
    """(rows, columns) of the matrix whose C-order values are those of a tensor of this shape.

    Axes of length 1 do not count. The first of the other axes becomes the rows, and all that follow
    become the columns: a convolution kernel becomes out × (in·kh·kw). A tensor with fewer than two
    such axes is one row. rows · columns is the size of the tensor.
    """
    axes = [n for n in shape if n != 1]
    if len(axes) < 2:
        return 1, math.prod(shape)
    return axes[0], math.prod(axes[1:])
