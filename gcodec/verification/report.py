"""What `verify` found: typed rows, and the same as plain data."""

import math
from dataclasses import dataclass
from typing import Any

from ..compressors.contract import Check
from ..container.describe import describe
from ..container.effects import Effects
from ..container.layout import TensorHeader
from ..io.skeleton import is_skeleton
from .inspection import Inspection


@dataclass(frozen=True)
class TensorReport:
    """One tensor of a container.

    header: what its record says: name, dtype, shape, guarantee and certificate.
    checks: what was looked at.
    lower_bound_bits, upper_bound_bits: what theory says about the payload's bits; None where it
        says nothing.
    measured_distortion: ‖x̂ − x‖²/‖x‖² against the original, or max |x̂ᵢ − xᵢ|/|xᵢ| for a pointwise
        guarantee; infinite if x̂ differs from an x that is zero or not finite. None without an
        original.
    norm2: ‖x‖² of the original, 0 if it is not of floats or not finite. None without an original.
    tried: whether there were trials.
    inspection: what the payload's bits are for; None if it was not asked for.
    measured_effects: what the bound did, against the original; None without an original, or where
        every bit is equal.
    loss: what the original lost, in words, if the bound holds and cost more than it should.
    """

    header: TensorHeader
    checks: tuple[Check, ...]
    lower_bound_bits: float | None = None
    upper_bound_bits: float | None = None
    measured_distortion: float | None = None
    norm2: float | None = None
    tried: bool = False
    inspection: Inspection | None = None
    measured_effects: Effects | None = None
    loss: str = ""

    @property
    def name(self) -> str:
        return self.header.name

    @property
    def ok(self) -> bool:
        """Whether every check of the tensor is as promised."""
        return all(check.ok for check in self.checks)

    @property
    def distortion(self) -> float:
        """The measured one if there is an original, else the stored one."""
        return self.header.distortion if self.measured_distortion is None else self.measured_distortion

    def to_json(self) -> dict[str, Any]:
        """Plain data: what `gcodec info` says about the tensor, then the bounds and the checks.

        With an original there is "measured_distortion", which is None if it is not finite. With an
        inspection there are "sections" and "yardsticks".
        """
        data = describe(self.header) if self.inspection is None else self.inspection.to_json()
        data |= {"lower_bound_bits": self.lower_bound_bits, "upper_bound_bits": self.upper_bound_bits}
        if self.measured_distortion is not None:
            finite = math.isfinite(self.measured_distortion)
            data["measured_distortion"] = self.measured_distortion if finite else None
        if self.measured_effects is not None:
            data["measured_effects"] = dict(vars(self.measured_effects))
        return data | {"checks": [dict(vars(check)) for check in self.checks]}


@dataclass(frozen=True)
class Report:
    """A container: its tensors in file order, and the checks of the file as a whole."""

    tensors: tuple[TensorReport, ...]
    checks: tuple[Check, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every promise holds, as far as it could be checked."""
        return not self.failures

    @property
    def measured(self) -> bool:
        """Whether every tensor was compared with an original; else its error is not known.

        The frame of a file counts only where there is nothing else: checks of the file speak of it.
        """
        tensors = [tensor for tensor in self.tensors if not is_skeleton(tensor.name)] or self.tensors
        return all(tensor.measured_distortion is not None for tensor in tensors)

    @property
    def failures(self) -> list[Check]:
        """All checks that are not as promised."""
        everything = [*self.checks, *(check for tensor in self.tensors for check in tensor.checks)]
        return [check for check in everything if not check.ok]

    def to_json(self) -> dict[str, Any]:
        """Plain data: "ok", "measured", "checks" of the file, and "tensors"."""
        return {
            "ok": self.ok,
            "measured": self.measured,
            "checks": [dict(vars(check)) for check in self.checks],
            "tensors": [tensor.to_json() for tensor in self.tensors],
        }
