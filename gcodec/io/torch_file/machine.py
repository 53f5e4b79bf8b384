"""Reads a pickle of tensors without running any of it: what it names is known here, or refused.

A pickle is a program for a stack machine. This one has the steps that `torch.save` writes, and
makes values of its own kinds: it imports nothing, calls nothing of the file's choice and sets no
attributes. Each step makes at most a small value, so the file's bytes bound what all of them take.
"""

import pickletools
import warnings
from collections.abc import Callable
from io import BytesIO
from typing import Any

from ...errors import InvalidInput
from ..places import Pay
from .kinds import Global, Mapping, Storage, known, made

MAX_STEPS = 1 << 22  # that a pickle may have
STEP_WORK, STEP_BYTES = 3000, 200  # nanoseconds and bytes that a step takes, at most
_PAID_TOGETHER = 1 << 12  # steps

_NOTHING = {"PROTO", "FRAME"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    "INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": Mapping, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": list,
}  # fmt: skip
_MARKED: dict[str, Callable[[list[Any]], Any]] = {"LIST": list, "TUPLE": tuple, "FROZENSET": list, "DICT": Mapping.of}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUT, _GET = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}


class _Mark:
    """Where a group of values begins on the stack."""


_MARK = _Mark()


def load(file: BytesIO, what: str, pay: Pay, storages: list[Storage] | None = None) -> Any:
    """The value of the pickle that begins at the file's position, which is then behind it.

    storages: gets each that the pickle names. Lists and sets are lists; dictionaries are Mappings;
    tensors and storages are those of `kinds`; whatever else torch.save writes is an Opaque.
    Raises InvalidInput, which says `what` it speaks of, for any other pickle.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of odd text in old pickles
            return _run(file, _Machine(storages if storages is not None else []), pay)
    except InvalidInput as error:
        raise InvalidInput(f"{what}: {error}") from None
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, UnicodeError) as error:
        words = " ".join(str(error).split())[:200]
        raise InvalidInput(f"{what}: is no sound pickle ({words}); fetch or write the file again") from None


def _run(file: BytesIO, machine: "_Machine", pay: Pay) -> Any:
    for number, (step, argument, _) in enumerate(pickletools.genops(file)):
        if number % _PAID_TOGETHER == 0:
            pay(STEP_WORK * _PAID_TOGETHER, STEP_BYTES * _PAID_TOGETHER)
        if number >= MAX_STEPS:
            raise InvalidInput(f"the pickle has more than {MAX_STEPS:,} steps; save its tensors in several files")
        machine.take(step.name, argument)
    return machine.result()


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, storages: list[Storage]) -> None:
        self._storages = storages
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def take(self, step: str, argument: Any) -> None:
        """Do one step."""
        push = self._stack.append
        if step in _VALUES:
            push(argument)
        elif step in _PUT:
            if argument > MAX_STEPS:
                raise ValueError("it numbers its values in jumps")
            self._memo[argument] = self._top()
        elif step == "MEMOIZE":
            self._memo[len(self._memo)] = self._top()
        elif step in _GET:
            push(self._memo[argument])
        elif step in _CONSTANTS:
            push(_CONSTANTS[step])
        elif step in _EMPTY:
            push(_EMPTY[step]())
        elif step in _TUPLES:
            push(tuple([self._pop() for _ in range(_TUPLES[step])][::-1]))
        elif step in _MARKED:
            push(_MARKED[step](self._group()))
        elif step == "MARK":
            push(_MARK)
        elif step not in _NOTHING and step != "STOP":
            self._act(step, argument)

    def result(self) -> Any:
        """The one value that is left."""
        value = self._pop()
        if self._stack:
            raise ValueError("values are left over at its end")
        return value

    def _act(self, step: str, argument: Any) -> None:
        """Do one of the steps that change a value, or name something."""
        if step == "GLOBAL":
            self._stack.append(known(*argument.split(" ", 1)))
        elif step in _ACTIONS:
            _ACTIONS[step](self)
        else:
            raise InvalidInput(
                f"the pickle has a step {step}, which torch.save does not write; write the file again by it"
            )

    def _top(self) -> Any:
        value = self._stack[-1]
        if value is _MARK:
            raise ValueError("a mark stands where a value should")
        return value

    def _pop(self) -> Any:
        value = self._top()
        self._stack.pop()
        return value

    def _group(self) -> list[Any]:
        """The values above the last mark, which is taken away too."""
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("a mark is missing")
        group = self._stack[at + 1 :]
        del self._stack[at:]
        return group

    def _extend(self, values: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise ValueError("values are appended to what is no list")
        target += values

    def _set(self, items: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, Mapping):
            raise ValueError("items are set in what is no dictionary")
        target.add(items)

    def _name(self) -> None:
        name, module = self._pop(), self._pop()
        self._stack.append(known(module, name))

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise ValueError("something is called that is no function")
        self._stack.append(made(function, arguments))

    def _storage(self) -> None:
        storage = Storage.of(self._pop())
        self._storages.append(storage)
        self._stack.append(storage)


_ACTIONS: dict[str, Callable[[_Machine], object]] = {
    "POP": lambda machine: machine._stack.pop(),
    "DUP": lambda machine: machine._stack.append(machine._top()),
    "POP_MARK": _Machine._group,
    "APPEND": lambda machine: machine._extend([machine._pop()]),
    "APPENDS": lambda machine: machine._extend(machine._group()),
    "ADDITEMS": lambda machine: machine._extend(machine._group()),
    "SETITEM": lambda machine: machine._set([machine._pop(), machine._pop()][::-1]),
    "SETITEMS": lambda machine: machine._set(machine._group()),
    "REDUCE": _Machine._reduce,
    "BUILD": _Machine._pop,  # attributes of a dictionary, such as the versions of modules
    "BINPERSID": _Machine._storage,
    "STACK_GLOBAL": _Machine._name,
}
