"""gcodec inside other systems: one file for each, which imports it and the public gcodec alone.

Nothing else of gcodec imports these files, and `import gcodec` does not need any host.
"""
