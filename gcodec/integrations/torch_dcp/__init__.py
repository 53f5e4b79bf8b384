"""Checkpoints of torch.distributed.checkpoint in containers.

    dcp.save(state, storage_writer=torch_dcp.Writer(path, gcodec.Policy(alpha=1e-5)))
    dcp.load(state, storage_reader=torch_dcp.Reader(path))

Every rank writes one container, which `gcodec verify` accepts. Any number of ranks can load them.
"""

from .reader import Reader
from .writer import Writer

__all__ = ["Reader", "Writer"]
