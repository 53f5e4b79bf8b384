"""What an index of shards (`*.safetensors.index.json`) says that is not so."""

import json
from collections.abc import Collection, Mapping
from typing import BinaryIO

from ..places import read_whole

SUFFIX = ".safetensors.index.json"
_LONGEST = 1 << 26  # bytes of an index that is looked at


def fault(file: BinaryIO, size: int, path: str, shards: Mapping[str, Collection[str]]) -> str | None:
    """The first fault of an index, in words; None if it has none.

    path: of the index. shards: the names of the tensors in each file of safetensors, by its path.
    """
    if size > _LONGEST:
        return None
    try:
        places = json.loads(read_whole(file, 0, size))["weight_map"].items()
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return f"{path} is no index of shards"
    folder = path[: path.rindex("/") + 1] if "/" in path else ""
    for tensor, shard in places:
        if folder + str(shard) not in shards:
            return f"{path} names the shard {str(shard)!r:.100}, which is not there"
        if tensor not in shards[folder + str(shard)]:
            return f"{path} says that {tensor!r:.100} is in {str(shard)!r:.100}, where it is not"
    return None
