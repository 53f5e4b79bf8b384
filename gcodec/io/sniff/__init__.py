"""What a file is, by its content: one that gcodec reads, or one that has a remedy.

The suffix of a name is a hint for content that could be several things. It never wins over what the
content says.
"""

from .content import MAX_SAFETENSORS_HEADER, PREFIX, TORCH_MAGIC, check_folder, format_of, instead_of_gcz, kind_of
from .foreign import FOREIGN, MODELS

__all__ = [
    "FOREIGN",
    "MODELS",
    "MAX_SAFETENSORS_HEADER",
    "PREFIX",
    "TORCH_MAGIC",
    "check_folder",
    "format_of",
    "instead_of_gcz",
    "kind_of",
]
