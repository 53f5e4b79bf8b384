"""Kernels compiled by numba. They take and give arrays and numbers, and return a status.

They have no classes, do no input or output, and raise nothing.
"""
