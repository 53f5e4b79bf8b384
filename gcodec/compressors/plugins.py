"""Compressors of other packages, found through their entry points.

A package names an Entry in its pyproject.toml, and gcodec then offers that compressor everywhere:

    [project.entry-points."gcodec.compressors"]
    uniform = "gcodec_uniform:ENTRY"

examples/third_party_compressor/ is such a package. Packages are searched when someone asks for a
name or an id that is none of the format's, and when all compressors are listed. A plug-in that
cannot be used does not disturb the others. Whoever asks for it gets an error that says why, and
listings leave it out with a warning.
"""

import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property

from ..errors import InvalidInput, UnsupportedFeature
from .contract import Compressor, Entry
from .guard import ForeignEntry

GROUP = "gcodec.compressors"
FIRST_ID, LAST_ID = 128, (1 << 64) - 1  # ids for private use


@dataclass(frozen=True)
class Plugin:
    """An entry point: its name, its package, and the Entry that it names.

    flaw: why it cannot be used; empty if nothing is known to be wrong.
    """

    name: str
    package: str
    entry: ForeignEntry | None
    flaw: str = ""

    @property
    def problem(self) -> str:
        """A sentence that says why it cannot be used; empty if it can. This imports the class."""
        flaw = self.flaw or (_flaw_of_class(self.entry) if self.entry else "")
        return f"the compressor {self.name!r} of package {self.package} cannot be used: {flaw}" if flaw else ""


class Plugins:
    """The plug-ins of this installation. taken: names that they may not have."""

    def __init__(self, taken: Collection[str]) -> None:
        self._taken = taken

    @cached_property
    def found(self) -> tuple[Plugin, ...]:
        """All of them, usable or not. They are searched for once."""
        from importlib.metadata import entry_points  # imported here, as most commands never need it

        plugins = [
            _loaded(point.name, point.dist.name if point.dist else "unknown", point.load)
            for point in entry_points(group=GROUP)
        ]
        return tuple(_without_clash(plugin, plugins, self._taken) for plugin in plugins)

    def usable(self) -> tuple[Entry, ...]:
        """The entries of those that can be used. The others are warned about."""
        entries = []
        for plugin in self.found:
            if problem := plugin.problem:
                warnings.warn(problem, stacklevel=1)  # always from here, so each is shown once
            elif plugin.entry:
                entries.append(plugin.entry)
        return tuple(entries)

    def by_name(self, name: str) -> Entry | None:
        """The entry of this name, or None. Raises InvalidInput if it cannot be used."""
        for plugin in self.found:
            if plugin.name == name:
                if problem := plugin.problem:
                    raise InvalidInput(problem)
                return plugin.entry
        return None

    def by_id(self, number: int) -> Entry:
        """The entry of this id. Raises UnsupportedFeature if there is none or it cannot be used."""
        for plugin in self.found:
            if plugin.entry and plugin.entry.id == number:
                if problem := plugin.problem:
                    raise UnsupportedFeature(problem)
                return plugin.entry
        broken = [plugin.problem for plugin in self.found if not plugin.entry]
        raise UnsupportedFeature(
            f"compressor {number} is a private one, and no installed package offers it; install the package that the "
            f"file was written with{''.join(f' ({problem})' for problem in broken)}"
        )


def _loaded(name: str, package: str, load: Callable[[], object]) -> Plugin:
    """The plug-in that an entry point is."""
    try:
        entry = load()
    except (Exception, SystemExit) as error:  # whatever a foreign module raises while it is imported
        return Plugin(name, package, None, _failed(error))
    if not isinstance(entry, Entry):
        return Plugin(name, package, None, f"its entry point names {entry!r}, which is no Entry")
    own = {field.name: getattr(entry, field.name) for field in fields(Entry)}
    return Plugin(name, package, ForeignEntry(**own, package=package), _flaw_of_entry(name, entry))


def _failed(error: BaseException) -> str:
    return " ".join(f"importing it raises {type(error).__name__}: {error}".split())


def _flaw_of_entry(name: str, entry: Entry) -> str:
    if entry.name != name:
        return f"its Entry has another name, {entry.name!r}"
    if not (isinstance(entry.id, int) and FIRST_ID <= entry.id <= LAST_ID):
        return f"its id is {entry.id!r}, and ids for private use are whole numbers from {FIRST_ID} to {LAST_ID}"
    if entry.efforts:
        return (
            "its Entry has efforts, and auto takes only compressors of the format, so that everyone can read its files"
        )
    return ""


def _without_clash(plugin: Plugin, plugins: Collection[Plugin], taken: Collection[str]) -> Plugin:
    """The plug-in. It has a flaw if its name is taken, or if another one has its name or id."""
    if plugin.name in taken:
        return replace(plugin, flaw="that name belongs to gcodec itself")
    for other in plugins:
        if other is plugin:
            continue
        if other.name == plugin.name:
            return replace(plugin, flaw=f"package {other.package} offers one of the same name; uninstall one of them")
        if plugin.entry and other.entry and other.entry.id == plugin.entry.id:
            words = (
                f"{other.name!r} of package {other.package} has the same id {plugin.entry.id}; uninstall one of them"
            )
            return replace(plugin, flaw=words)
    return plugin


def _flaw_of_class(entry: ForeignEntry) -> str:
    """What the class lacks of the contract; empty if nothing."""
    try:
        cls = entry.load_bare()
        if not (isinstance(cls, type) and issubclass(cls, Compressor) and is_dataclass(cls)):
            return f"{entry.path} is not a dataclass that is a Compressor"
        cls()
    except (Exception, SystemExit) as error:  # whatever a foreign module raises
        return _failed(error)
    kinds = getattr(cls, "kinds", ())
    if not kinds or not set(kinds) <= {"alpha", "omega", "pointwise", "exact"}:
        return f'its kinds are {kinds!r}, and must be some of "alpha", "omega", "pointwise" and "exact"'
    if "omega" in kinds and "seed" not in {f.name for f in fields(cls)}:
        return "it can be unbiased, but has no option seed"
    if not hasattr(cls, "work_per_value") and cls.work.__func__ is Compressor.work.__func__:
        return "it has neither work_per_value nor a work method"
    return ""
