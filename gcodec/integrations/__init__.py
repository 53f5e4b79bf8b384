"""gcodec inside other systems: a file or room for each, which imports it and the public gcodec.

Nothing else of gcodec imports these files, and `import gcodec` does not need any host.
"""
