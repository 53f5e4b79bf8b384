"""Gradients of PyTorch's fully_shard (FSDP2) through channels.

    compression = torch_fsdp.compress(model, alpha=0.1)      # after fully_shard

Each rank sends every other rank a message of that rank's rows of the gradients, and adds up what it
gets for its own. Weights are gathered plainly, as before.
"""

from .compression import Compression, compress

__all__ = ["Compression", "compress"]
