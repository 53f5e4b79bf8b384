"""How kernels are compiled and kept on disk, and who hears of it."""
