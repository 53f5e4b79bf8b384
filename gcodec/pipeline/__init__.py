"""Arrays to records and back: `compress` and `decompress`, `auto`, files to files, salvage."""
