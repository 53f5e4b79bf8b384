"""Cases that several processes of torch run together, over gloo on this machine."""

import os
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

Case = Callable[[int], None]  # takes the rank


def outcomes(folder: Path, ranks: int, cases: Sequence[Case]) -> Path:
    """The folder, with a text by `name_of` for each case and rank: what failed, if anything did."""
    import torch

    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.multiprocessing.spawn(_run, (ranks, cases, folder), nprocs=ranks)
    return folder


def name_of(case: Case, rank: int) -> str:
    return f"{case.__name__}.{rank}"


def _run(rank: int, ranks: int, cases: Sequence[Case], folder: Path) -> None:
    """All cases in one process, as its start takes longest."""
    import torch

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=ranks)
    for case in cases:
        try:
            case(rank)
            text = ""
        except BaseException:
            text = traceback.format_exc()
        (folder / name_of(case, rank)).write_text(text)
    torch.distributed.destroy_process_group()
