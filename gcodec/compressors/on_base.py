"""What a compressor has whose payload is read beside a base; its record says which (format.md 3.6).

Any other compressor codes a change as an ordinary tensor, and does not see the base.
"""

from abc import abstractmethod

from ..source import Source
from .contract import Compressor, Decode, Payload, TensorSpec


class BesideBase(Compressor):
    """A compressor that codes a tensor exactly, given a base of the same dtype and size."""

    @abstractmethod
    def encode_on(self, source: Source, base: Source) -> Payload:
        """The payload of a tensor."""

    @classmethod
    @abstractmethod
    def unchanged(cls, spec: TensorSpec) -> Payload:
        """The payload that says that all values are those of the base."""

    @classmethod
    @abstractmethod
    def decoder_on(cls, head: bytes, spec: TensorSpec, base: Source) -> Decode:
        """The decoder of the chunks; raises Corrupt when the head cannot be right."""
