"""All checks of one tensor.

They are about its bytes, its certificate, its bits beside theory, and its error against the
original.
"""

import math
from dataclasses import replace
from typing import NamedTuple

from .. import dtypes
from ..compressors.contract import Check
from ..container.budget import Budget
from ..container.layout import TensorHeader
from ..container.reader import Record
from ..distortion import SLACK, exceeds, part_error, scan_source, whole_error
from ..io.skeleton import is_skeleton
from ..pipeline.decompress import compressor_of, decompress
from ..pipeline.effects.found import Found
from ..pipeline.effects.measuring import combine, measure
from ..request.terms import Others, Slices, Terms
from ..source import Source
from .bases import base_checks
from .bounds import bound_checks, lower_bound
from .effects import effects_checks
from .inspection import inspect_record
from .report import TensorReport
from .trials import try_seeds

CERTIFICATE_TOLERANCE = 1e-6  # relative; another encoder may have summed in another order
FURTHEST = 16  # times the bound; the errors of unbiased methods are bounded, so no encoder keeps a file beyond
# What is measured of each tensor whose error is bounded.
_WORDS = {"alpha": "relative squared L2 error", "pointwise": "largest relative error"}
_UNLIMITED = 1 << 62  # decoded bytes, of a record that was decoded before


class Measured(NamedTuple):
    """A decoded tensor against its original.

    distortion: ‖x̂ − x‖²/‖x‖², or max |x̂ᵢ − xᵢ|/|xᵢ| for a pointwise guarantee, rounded up. equal:
    whether every bit is equal. within: whether the distortion is at most the bound of an alpha or a
    pointwise guarantee, in exact arithmetic. norm2: ‖x‖²; 0 of a tensor that is not of floats, or
    not finite. comparable: whether it may be what the record was made from: what is zero, not
    finite or not of floats is stored exactly. found: what the bound did; None where there is none,
    or nothing changed. kept: whether all values came back that the record keeps; all else is about
    the others. slice: the largest distortion of a slice, rounded up; 0 if the bound is not one of
    slices.
    """

    distortion: float
    equal: bool
    within: bool
    norm2: float
    comparable: bool
    found: Found | None = None
    kept: bool = True
    slice: float = 0.0


def check_tensor(
    record: Record,
    original: Source | None,
    trials: int,
    threads: int,
    budget: Budget,
    sections: bool = False,
    moment: bool = False,
) -> TensorReport:
    """All checks of one record, and its sections if asked for.

    moment: whether it is a first moment of an optimizer, which may lose values to 0.
    Its chunks must be readable twice. Raises what decoding raises.
    """
    header = record.header
    measured = _measure(record, original, threads, budget)
    found = replace(measured.found, moment=moment) if measured and measured.found else None
    coded, compressor = record.coded(), compressor_of(header)
    alone = header.base is None  # theory speaks of whole tensors
    lower, upper = (lower_bound(header), compressor.upper_bound(coded)) if alone else (None, None)
    effects = found.effects.rounded(header.distortion) if found else None
    tries = trials if original is not None and compressor.may_try(coded) else 0
    checks = [
        Check("checksums", True, "the coded bytes are intact"),
        Check("decoded values", True, "they are what the encoder decoded"),
        _certificate(header),
        *(bound_checks(header, lower, upper) if alone else ()),
        *effects_checks(header, effects),
    ]
    if measured is not None:
        checks += _against(header, measured)
    checks += base_checks(record, original, measured.distortion if measured else 0.0, Budget(_UNLIMITED))
    comparable = original if measured is not None and measured.comparable and alone else None
    if comparable is not None and tries and header.guarantee.kind == "omega":
        checks += try_seeds(record, comparable, tries, threads)
    checks += compressor.checks(coded, comparable, tries if comparable is not None else 0)
    return TensorReport(
        header,
        tuple(checks),
        lower,
        upper.bits if upper else None,
        measured.distortion if measured else None,
        measured.norm2 if measured else None,
        tries > 0,
        inspect_record(record) if sections else None,
        effects,
        found.loss(header.name or "the array", header.guarantee) if found else "",
    )


def _measure(record: Record, original: Source | None, threads: int, budget: Budget) -> Measured | None:
    """Decode every chunk, and measure it when there is an original."""
    header, kind = record.header, record.header.guarantee.kind
    terms = _terms(header)[0]
    slices = None if terms.axis is None else Slices(header.spec.shape, terms.axis)
    bounded = original is not None and dtypes.is_float(header.spec.dtype)
    scan = scan_source(header.name, Others(original, terms), "lossless") if original is not None and bounded else None
    errors, equal, kept, done = [], True, True, []
    for part in decompress([record], threads if len(header.chunks) > 1 else 1, budget):
        if original is None:
            continue
        values = original.read(part.start, part.start + part.values.size)
        equal = equal and values.tobytes() == part.values.tobytes()
        pair = terms.compared(values, part.values)
        kept = kept and pair is not None
        errors.append(part_error(kind, *pair, scan) if scan and pair else 0.0)
        if scan and pair and kind != "exact":
            done.append(measure(*pair, header.spec, part.start, scan.scale))
        if slices and pair:
            slices.add(slices.sums(*pair, part.start))
    if original is None:
        return None
    norm2 = scan.scale * scan.scale * scan.norm2 if scan else 0.0
    comparable = header.guarantee.kind == "exact" or (scan is not None and scan.norm2 > 0)
    if equal:
        return Measured(0.0, True, True, norm2, comparable)
    distortion, bound = whole_error(kind, errors, scan) if scan else math.inf, header.guarantee.bound
    found = combine(done, header.spec) if done and kept and math.isfinite(distortion) else None
    worst = slices.largest() if slices else 0.0
    if kind == "alpha" and bound < distortion <= bound * (1 + 4 * SLACK):
        parts = decompress([record], threads, Budget(_UNLIMITED))
        pairs = ((original.read(part.start, part.start + part.values.size), part.values) for part in parts)
        others = ((terms.others(values), terms.others(decoded)) for values, decoded in pairs)
        return Measured(distortion, False, not exceeds(others, bound), norm2, comparable, found, kept, worst)
    return Measured(distortion, False, distortion <= bound, norm2, comparable, found, kept, worst)


def _terms(header: TensorHeader) -> tuple[Terms, float]:
    """What a promise says beside its bound, and the largest distortion of a slice."""
    said = {"alpha": ("kept", "slices"), "pointwise": ("kept",)}.get(header.guarantee.kind, ())
    return Terms.of({key: value for key, value in header.attributes.items() if key in said}, header.spec)


def _certificate(header: TensorHeader) -> Check:
    """What the encoder says that it reached must be within what it promises."""
    kind, bound = header.guarantee.kind, header.guarantee.bound
    if kind == "exact":
        return Check("certificate", True, "exact: every bit is that of the original")
    reached = header.expected if kind == "omega" else max(header.distortion, _terms(header)[1])
    assert reached is not None  # the record's header has it
    words = "expected relative squared L2 error" if kind == "omega" else _WORDS[kind]
    margin = f", {100 * (bound - reached) / bound:.2f} % below" if reached <= bound else ""
    impossible = _impossible(header) if kind == "omega" else ""
    return Check(
        "certificate", reached <= bound and not impossible, f"{words} {compared(reached, bound)}{margin}{impossible}"
    )


def _impossible(header: TensorHeader) -> str:
    """What no right encoder's result can be, if the record's own error is that; else nothing."""
    if header.distortion > FURTHEST * header.guarantee.bound:
        return f"; but its own error is {header.distortion:.6g}, more than {FURTHEST} times the bound"
    if header.expected == 0 < header.distortion:
        return f"; but its own error is {header.distortion:.6g}, and where 0 is expected no error can be"
    return ""


def _against(header: TensorHeader, measured: Measured) -> list[Check]:
    """The decoded tensor against the original."""
    kind, bound, reached = header.guarantee.kind, header.guarantee.bound, measured.distortion
    if is_skeleton(header.name) and not measured.equal:  # which `frame_checks` says
        return []
    if kind == "exact":
        words = "equal bit for bit" if measured.equal else "not equal to the original"
        return [Check("original", measured.equal, words)]
    agrees = math.isclose(reached, header.distortion, rel_tol=CERTIFICATE_TOLERANCE, abs_tol=1e-30)
    decoded = "" if agrees or not measured.equal else "; what it is compared with was decoded from it, not encoded"
    checks = [Check("stored distortion", agrees, f"measured {reached:.6g}, stored {header.distortion:.6g}{decoded}")]
    if kind in _WORDS:
        sign = "≤" if measured.within else ">"
        checks.append(Check("original", measured.within, f"{_WORDS[kind]} {reached:.6g} {sign} {bound:g}"))
    elif not measured.comparable:
        checks.append(Check("original", False, "it is zero or not finite, so an encoder stores it exactly"))
    terms, stated = _terms(header)
    if terms.kept:
        words = "came back bit for bit; the error is that of the others" if measured.kept else "did not all come back"
        checks.append(Check("kept values", measured.kept, f"the values that the record keeps {words}"))
    if terms.axis is not None:
        agrees = math.isclose(measured.slice, stated, rel_tol=CERTIFICATE_TOLERANCE, abs_tol=1e-30)
        detail = f"largest error of a slice along axis {terms.axis}: {compared(measured.slice, bound)}"
        detail += "" if agrees else f", stored {stated:.6g}"
        checks.append(Check("slices", agrees and measured.slice <= bound, detail))
    return checks


def compared(value: float, bound: float) -> str:
    """A value beside its bound, with the sign between them."""
    return f"{value:.6g} {'≤' if value <= bound else '>'} {bound:g}"
