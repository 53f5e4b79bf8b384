"""Tensors coded against a base: how they are coded, and where bases are found again."""
