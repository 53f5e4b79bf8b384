"""An HDF5 file in a child process: the parent's side, the child's, and their messages."""
