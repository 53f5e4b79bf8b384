"""Gradients of PyTorch's DistributedDataParallel through channels.

    state = torch_ddp.compress(model, alpha=0.1)      # model is a DistributedDataParallel

Each rank sends its gradients as messages and gets the mean of what all ranks sent. All of them add
in the same order, so the replicas stay equal bit for bit.
"""

from .compression import Compression, compress, hook
from .statistics import Statistics

__all__ = ["Compression", "Statistics", "compress", "hook"]
