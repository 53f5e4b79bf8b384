"""Attacks: damaged files, and commands that are disturbed. CONTRIBUTING.md lists the programs.

`engine` makes containers, `arrays` files of arrays and `hdf5_damage` HDF5 files; `oracle` says what
must hold for containers. `mutate`, `guided`, `hdf5_mutants` and `faults` are programs.
"""
