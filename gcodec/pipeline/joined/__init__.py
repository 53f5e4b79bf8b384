"""Small tensors that are neighbours, coded together."""
