"""What an index of shards (`*.safetensors.index.json`) says that is not so."""

import json
from collections.abc import Mapping
from typing import BinaryIO

from ..places import read_whole

SUFFIX = ".safetensors.index.json"
_LONGEST = 1 << 26  # bytes of an index that is looked at
_ANEW = "(write the index anew)"


def fault(file: BinaryIO, size: int, path: str, shards: Mapping[str, Mapping[str, int]]) -> str | None:
    """The first fault of an index and its remedy, in words; None if it has none.

    path: of the index. shards: the bytes of each tensor by its name, in each file of safetensors,
    by its path.
    """
    if size > _LONGEST:
        return None
    try:
        found = json.loads(read_whole(file, 0, size))
        places = {str(tensor): str(shard) for tensor, shard in found["weight_map"].items()}
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return f"{path} is no index of shards {_ANEW}"
    folder = path[: path.rindex("/") + 1] if "/" in path else ""
    for tensor, shard in places.items():
        if folder + shard not in shards:
            return f"{path} names the shard {shard!r:.100}, which is not there (fetch it, or write the index anew)"
        if tensor not in shards[folder + shard]:
            return f"{path} says that {tensor!r:.100} is in {shard!r:.100}, where it is not {_ANEW}"
    total = 0
    for shard in sorted(set(places.values())):
        total += sum(shards[folder + shard].values())
        for tensor in shards[folder + shard]:
            if places.get(tensor) != shard:
                return f"{path} does not say that {tensor!r:.100} is in {shard!r:.100} {_ANEW}"
    about = found.get("metadata")
    said = about.get("total_size", total) if isinstance(about, dict) else total
    return None if said == total else f"{path} says total_size {said!r:.30}, and the shards have {total} {_ANEW}"
