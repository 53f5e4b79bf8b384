"""Operators from the literature, to compare with. They are not in the file format.

Each says how many bits its message takes, and its class and constant.
"""

from .baseline import Baseline
from .dithering import NaturalDithering, Qsgd, TernGrad
from .lowrank import PowerSgd
from .rotation import Drive, Eden, TurboQuant
from .rounding import NaturalCompression, ScaledSign
from .sparsification import RandK, SparseLoco, TopK

# Each family goes from few bits to many, for curves of bits against error.
FAMILIES: dict[str, tuple[Baseline, ...]] = {
    "top-k": tuple(TopK(fraction) for fraction in (0.001, 0.01, 0.03, 0.1, 0.3)),
    "sparseloco": tuple(SparseLoco(fraction) for fraction in (0.01, 0.03, 0.1, 0.3)),
    "rand-k": tuple(RandK(fraction) for fraction in (0.001, 0.01, 0.03, 0.1, 0.3)),
    "qsgd": tuple(Qsgd(resolution) for resolution in (0.05, 0.25, 1.0, 2.0, 4.0, 16.0)),
    "natural-dithering": tuple(NaturalDithering(levels) for levels in (2, 4, 8, 12)),
    "natural-compression": (NaturalCompression(),),
    "terngrad": (TernGrad(),),
    "scaled-sign": (ScaledSign(),),
    "drive": tuple(Drive(bits) for bits in (1, 2, 3, 4, 6)),
    "eden": tuple(Eden(bits) for bits in (1, 2, 3, 4, 6)),
    "turboquant": tuple(TurboQuant(bits) for bits in (1, 2, 3, 4, 6)),
    "powersgd": tuple(PowerSgd(rank) for rank in (1, 2, 4, 8, 16)),
}

# Here is one operator of each family, with its usual parameters.
BASELINES: dict[str, Baseline] = {name: type(members[0])() for name, members in FAMILIES.items()}
