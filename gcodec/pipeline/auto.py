"""`auto`: try what can win on a tensor and keep the fewest bytes that a reader accepts."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from .. import ieee
from ..compressors import registry
from ..compressors.contract import Entry, Guarantee, Plan, TooFine
from ..distortion import Scan
from ..dtypes import is_float
from ..errors import InvalidInput
from ..parallel import on_threads
from ..request.choice import Choice
from ..request.sentinels import heaviest
from ..request.structure import Structure, resolved, settled, variants, with_found
from ..request.terms import Others, Terms
from ..source import Remembered, Source, matricise
from .coded import CodedRecord
from .compress import Attempt, in_passes, scan_for_bound, store
from .compress import compress as compress_by

# A method that another one beats is left out from so many bits for each value on, and so many more
# in all, which are what the tables and the trellis of the other one may take.
LOW_RATE, FEW_BITS = 0.3, 150
PROBE_SEED = 0x6763_6F64_6563  # seed of the codes by which an unbiased method is chosen


@ieee.arithmetic()
def compress(name: str, source: Source, choice: Choice) -> CodedRecord:
    """Compress with the chosen method; for "auto", with the candidate that needs the fewest bytes.

    Among unbiased methods the choice is made with another seed. For the length of a random code
    says something about its error, so a choice by the length of the code that is kept would bias
    it. With another seed, the choice depends on the tensor and the bound alone.
    """
    with on_threads(choice.threads):
        coded = _compressed(name, source, choice)
    if coded.found is None or coded.header.guarantee.kind != "alpha":
        return coded
    terms, ruined = Terms.of(coded.header.attributes, coded.header.spec)[0], coded.found.ruins(coded.header.guarantee)
    repeated = heaviest(Others(source, terms) if terms.kept else source, thorough=ruined)
    return replace(coded, found=replace(coded.found, repeated=repeated)) if repeated else coded


def _compressed(name: str, source: Source, choice: Choice) -> CodedRecord:
    choice = resolved(name, source, choice)
    if choice.method != "auto":
        return _by_name(name, source, choice)
    methods = candidates(source, choice)
    if choice.guarantee.kind == "omega" and len(methods) > 1:
        choice = in_passes(choice, 2)
        probe = replace(choice, options=choice.options | {"seed": PROBE_SEED})
        with _smallest(name, source, probe, methods) as coded:
            methods = (registry.by_id(coded.header.compressor).name,)
    if len(methods) == 1:
        return compress_by(name, source, _by(choice, methods[0]))
    return _smallest(name, source, choice, methods)


def _by_name(name: str, source: Source, choice: Choice) -> CodedRecord:
    """Compress with a method that was asked for: plainly, if that keeps zeros and is shorter."""
    coded = compress_by(name, source, settled(name, source, choice))
    if not choice.terms or choice.terms != Terms((0,)) or choice.fill or coded.header.guarantee.kind == "exact":
        return coded
    plain = compress_by(name, source, settled(name, source, replace(choice, terms=Terms())))
    worse = _fills_zeros(plain) or plain.paid_size >= coded.paid_size
    (plain if worse else coded).close()
    return coded if worse else plain


def _fills_zeros(coded: CodedRecord) -> bool:
    """Whether a zero came back as something else."""
    return coded.found is not None and coded.found.effects.filled > 0


def candidates(source: Source, choice: Choice) -> Sequence[str]:
    """The methods that `auto` tries. The last one takes any tensor."""
    effort, kind = choice.options.get("effort", registry.EFFORTS[0]), choice.guarantee.kind
    if effort not in registry.EFFORTS:
        known = " or ".join(f'"{one}"' for one in registry.EFFORTS)
        raise InvalidInput(f"effort must be {known}, not {effort!r}")
    if kind == "exact" or not is_float(source.dtype) or source.size == 0:
        return (registry.EXACT.name,)
    fitting = [entry for entry in registry.ENTRIES if _fits(entry, source, effort)]
    lossy = [entry.name for entry in fitting if kind in entry.load().kinds]
    if choice.moment and kind == "alpha":
        fine = choice.guarantee.bound <= registry.FINE_FOR_MOMENTS
        lossy = [name for name in lossy if name == registry.FOR_MOMENTS or (fine and name == registry.FOR_FINE_MOMENTS)]
    return (*lossy, registry.EXACT.name)


def _fits(entry: Entry, source: Source, effort: str) -> bool:
    """Whether a method is made for a tensor of this shape and size."""
    if entry.matrix and min(matricise(source.shape)) == 1:
        return False
    return source.size <= entry.efforts.get(effort, -1)


def _smallest(name: str, source: Source, choice: Choice, methods: Sequence[str]) -> CodedRecord:
    """The smallest of what the methods give, with what readers want to be paid.

    Each is weighed by what its plan says that it is worth, or by what kept zeros are. The method
    that promises most comes first. One that cannot win by its plan is not coded. One that refuses
    the tensor is left out, whatever it planned. The last one takes any tensor.
    """
    found = Structure()
    if choice.guarantee.kind == "alpha":
        found = Structure.of(source, choice)
        choice = with_found(choice, found)
    scan = scan_for_bound(name, source, choice)
    if scan is None:
        return store(name, source, choice)
    plans = sorted(
        _plans(name, Remembered(source), choice, scan, variants(source, choice, found, methods[:-1])),
        key=lambda found: found[0].most / found[0].worth,
    )
    passes = sum(plan.least / plan.worth <= plans[0][0].most / plans[0][0].worth for plan, _ in plans)
    best, weight, rival = None, math.inf, math.inf  # weights in bits: of the best record, and without its header
    for plan, run in plans:
        if best is not None and plan.least / plan.worth >= rival:
            continue
        try:
            if best is not None and plan.closer and plan.closer() / plan.worth >= rival:
                continue
            coded = run(passes)
        except (InvalidInput, TooFine):  # it is not made for this tensor
            continue
        except BaseException:
            if best is not None:
                best.close()
            raise
        if choice.keep_zeros and _fills_zeros(coded):
            coded.close()
            continue
        worth = max(plan.worth, found.worth if found.zeros and not _fills_zeros(coded) else 1.0)
        if best is None or 8 * coded.paid_size / worth < weight:
            if best is not None:
                best.close()
            best, weight = coded, 8 * coded.paid_size / worth
            rival = 8 * (coded.paid_size - coded.header_size) / worth
        else:
            coded.close()
    assert best is not None  # exact storage takes any tensor
    return best


def _plans(
    name: str, source: Source, choice: Choice, scan: Scan, tried: Iterable[tuple[Choice, float]]
) -> list[tuple[Plan, Callable[[int], CodedRecord]]]:
    """The plan of each choice, and what codes the tensor by it in one of so many passes.

    tried: choices of a method, and what each is worth. One that another one beats at the rate that
    it plans is left out. A tensor of which only an exact copy will do has that plan alone.
    """
    exactly, tried = registry.EXACT.load()().plan(source, Guarantee("exact")), list(tried)
    methods = {one.method for one, _ in tried}
    found: list[tuple[Plan, Callable[[int], CodedRecord]]] = []
    for one, worth in tried if exactly.worth < math.inf else ():
        with suppress(InvalidInput, TooFine):
            attempt = Attempt.of(name, source, _by(one, one.method), scan)
            beaten = registry.by_name(one.method).beaten_by in methods and not (worth > 1 or one.keep_zeros)
            if not (beaten and attempt.plan.least > LOW_RATE * source.size + FEW_BITS):
                plan = attempt.plan if worth == attempt.plan.worth else replace(attempt.plan, worth=worth)
                found.append((plan, attempt.run))
    found.append((exactly, lambda passes: store(name, source, in_passes(choice, passes), exactly.payload())))
    return found


def _by(choice: Choice, method: str) -> Choice:
    """The choice of one method, with those of the options that it has."""
    known = registry.option_names(method)
    options = {key: value for key, value in choice.options.items() if key in known}
    same = choice.method == method and len(options) == len(choice.options)
    return choice if same else replace(choice, method=method, options=options)
