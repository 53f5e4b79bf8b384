"""Files that hold tensors and other things, alone or in a folder, as records (interchange.md)."""
