"""The mathematics of the bounds. Functions take and give floats and import nothing else of
gcodec.
"""
