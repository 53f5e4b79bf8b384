"""The mathematics of the bounds: floats in, floats out; imports nothing else of gcodec."""
