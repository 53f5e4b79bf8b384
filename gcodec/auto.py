"""`auto`: try what can win on a tensor and keep the fewest bytes."""

from dataclasses import fields, replace

from . import registry
from .errors import InvalidInput
from .pipeline import Choice, Coded
from .pipeline import compress as compress_by
from .source import Source

KINDS = ("alpha", "omega", "exact")
OPTIONS = ("seed", "effort")
CANDIDATES = {  # for each guarantee and effort
    ("exact", "best"): ("lossless",),
    ("exact", "fast"): ("lossless",),
    ("alpha", "best"): ("sd", "lossless"),
    ("alpha", "fast"): ("sd", "lossless"),
    ("omega", "best"): ("rsd",),
    ("omega", "fast"): ("rsd",),
}


def compress(name: str, source: Source, choice: Choice) -> Coded:
    """Compress with the chosen method; for "auto", with the candidate that needs the fewest bytes."""
    if choice.method != "auto":
        return compress_by(name, source, choice)
    effort = choice.options.get("effort", "best")
    if effort not in ("best", "fast"):
        raise InvalidInput(f'effort must be "best" or "fast", not {effort!r}')
    best: Coded | None = None
    for method in CANDIDATES[choice.guarantee.kind, effort]:
        coded = _try(name, source, choice, method)
        if best is None or (coded and coded.header.body_length < best.header.body_length):
            best, coded = coded, best
        if coded:
            coded.close()
    assert best is not None  # the last candidate takes any tensor
    return best


def _try(name: str, source: Source, choice: Choice, method: str) -> Coded | None:
    known = option_names(method)
    options = {key: value for key, value in choice.options.items() if key in known}
    return compress_by(name, source, replace(choice, method=method, options=options))


def option_names(method: str) -> tuple[str, ...]:
    """The names of a method's options: the fields of its class."""
    return tuple(f.name for f in fields(registry.by_name(method).load()))  # type: ignore[arg-type] # a dataclass
