"""Data-parallel training whose gradients travel through a channel.

    torchrun --nproc-per-node 2 ddp.py

Each rank prints its loss and how many times fewer bytes it sent. Needs PyTorch.
"""

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from gcodec.integrations import torch_ddp

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64))
target = nn.Linear(64, 64)
model = DistributedDataParallel(net)
compression = torch_ddp.compress(model, alpha=0.1)
optimizer = torch.optim.AdamW(model.parameters(), 3e-3)

torch.manual_seed(1 + rank)  # each rank has data of its own
for step in range(30):
    x = torch.randn(32, 64)
    loss = (model(x) - target(x).detach()).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"rank {rank}, step {step}: loss {loss.item():.3f}", flush=True)

print(f"rank {rank}: loss {loss.item():.3f}, {compression.statistics.ratio:.1f} times fewer bytes", flush=True)
dist.destroy_process_group()
