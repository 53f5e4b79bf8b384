"""Kernels that turn symbols and bits into bytes, and back."""
