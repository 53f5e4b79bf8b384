"""Whose fault an error is: the tensor's, which it then names, or the compressor's."""

from ..compressors.contract import Entry
from ..errors import FormatError, InvalidInput, UnsupportedFeature


class naming:
    """An error of a compressor gets the tensor's name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, InvalidInput):
            raise InvalidInput(f"{self._name}: {error}" if self._name else str(error)) from None


class reading_back:
    """What a compressor just made is not damaged: whatever its decoder refuses is its own fault."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, FormatError | UnsupportedFeature):
            raise self._entry.fault(f"it cannot decode what it made ({error})") from error
