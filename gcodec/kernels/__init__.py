"""numba kernels: arrays and numbers in and out, no classes, no I/O, no raise; they return a status."""
