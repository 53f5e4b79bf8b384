"""The HTML report of `gcodec compare`: one file, light or dark as the browser asks."""

from collections.abc import Iterable, Sequence
from html import escape

from .. import __version__
from ..theory.report import METHOD
from . import pictures
from .advice import HEADINGS, Advice, advice, footnote
from .picture import rate_distortion
from .summary import Comparison, Row, fewest

_CSS = """
:root { color-scheme: light dark; --muted: #5c636d; --tint: #f4f5f7; LIGHT }
@media (prefers-color-scheme: dark) { :root { --muted: #a3a9b3; --tint: #202328; DARK } }
* { box-sizing: border-box }
body { margin: 0; background: var(--surface); color: var(--ink); font: 15px/1.55 system-ui, sans-serif }
main { max-width: 68rem; margin: 0 auto; padding: 2rem 1.25rem 4rem }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem }
p, ul { max-width: 46rem }
.muted, td.base { color: var(--muted) }
.advice { background: var(--tint); border-left: 3px solid var(--series-0); padding: .75rem 1rem; margin: 1.25rem 0; max-width: none }
.advice p { margin: .2rem 0; max-width: none }
.advice code { font-size: .85rem }
figure { margin: 1rem 0; overflow-x: auto }
figure svg { width: 100%; min-width: 42rem; height: auto; display: block }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem }
th { text-align: left; font-weight: 600; border-bottom: 1px solid var(--ink) }
th, td { padding: .3rem .8rem .3rem 0; white-space: nowrap; vertical-align: top }
td { border-bottom: 1px solid var(--grid) }
.number { text-align: right }
td.remark { white-space: normal; min-width: 12rem; color: var(--muted) }
tr.best td { background: var(--tint); font-weight: 600 }
details { margin: .5rem 0 } summary { cursor: pointer; overflow-wrap: anywhere }
"""
_HEADINGS = (
    "method",
    "bits per coordinate",
    "gap",
    "above cap",
    "error or ω",
    "encode MB/s",
    "decode MB/s",
    "pays below",
    "remarks",
)
_WORDS = """<p class="muted">The error is the relative squared L2 error ‖x̂ − x‖²/‖x‖². ω is its mean, for an
unbiased method. Unbiased methods are asked for ω = α/(1 − α): scaled by 1/(1 + ω), they are contractive with
α. The gap is what a method spends above ½·log2(1/error) bits per coordinate, the least for a vector about
which nothing is known. Below zero the data is compressible. The cap bound is the least for methods that keep
their error for every input, without the norm. Bits are those of the payload. A known operator is taken with
its fewest bits that reach the error, or else where it is most exact. Speeds are of processor time on one
core. The speed of a known operator is for both ways. A method pays below a link speed if encoding, sending
and decoding then takes less time than sending the original.</p>"""


def page(comparison: Comparison, source: str) -> str:
    """The whole page. `source` names what was measured. Raises InvalidInput without matplotlib."""
    picture = pictures.svg(rate_distortion(comparison), "bits per coordinate against relative squared error")
    style = _CSS.replace("LIGHT", pictures.css(dark=False)).replace("DARK", pictures.css(dark=True))
    parts = [
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(source)} · gcodec compare</title>',
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{style}</style>\n</head>\n<body><main>',
        f'<h1>{escape(source)}</h1>\n<p class="muted">{_summary(comparison)} · gcodec {__version__}</p>',
        _advice(advice(comparison, source)),
        f"<figure>{picture}</figure>\n{_WORDS}",
        *(_section(comparison, alpha) for alpha in comparison.alphas),
        *(_section_of_each(comparison, bound) for bound in comparison.pointwises),
        _left_out(comparison.left_out),
        _tensors(comparison),
        "</main></body>\n</html>\n",
    ]
    return "\n".join(parts)


def _advice(lines: Sequence[Advice]) -> str:
    """What to use, as a table."""
    head = "".join(f'<th{_number(i == 2)} scope="col">{text}</th>' for i, text in enumerate(HEADINGS))
    rows = []
    for line in lines:
        promise, use, rate, beside, notes, command = map(escape, line.cells)
        rows.append(
            f'<tr><td>{promise}</td><td><strong>{use}</strong></td><td class="number">{rate}</td><td>{beside}</td>'
            f'<td class="remark">{notes}</td><td><code>{command}</code></td></tr>'
        )
    note = f'<p class="muted">{escape(footnote(lines))}</p>' if footnote(lines) else ""
    table = f"<table><thead><tr>{head}</tr></thead>\n<tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="advice scroll">{table}{note}</div>'


def _summary(comparison: Comparison) -> str:
    tensors = len(comparison.tensors)
    return f"{tensors} tensor{'s' * (tensors != 1)}, {comparison.size:,} values"


def _section(comparison: Comparison, alpha: float) -> str:
    rows = [row for row in comparison.totals if row.alpha == alpha]
    return f"<h2>Error at most α = {alpha:g}</h2>\n{_table(rows)}"


def _section_of_each(comparison: Comparison, bound: float) -> str:
    rows = [row for row in comparison.pointwise if row.alpha == bound]
    return f"<h2>Every value within ε = {bound:g} of itself</h2>\n{_table(rows)}"


def _table(rows: Sequence[Row]) -> str:
    head = "".join(f'<th{_number(1 <= i <= 7)} scope="col">{text}</th>' for i, text in enumerate(_HEADINGS))
    best = [fewest(rows, METHOD, kind) for kind in ("alpha", "omega", "pointwise")]
    body = "\n".join(_line(row, row in best) for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _line(row: Row, best: bool) -> str:
    kind = "" if row.group == METHOD else ' class="base"'
    cells = "".join(f'<td class="number{" base" * bool(kind)}">{text}</td>' for text in row.figures(3))
    marked = ' class="best"' if best else ""
    return f'<tr{marked}><td{kind}>{escape(row.name)}</td>{cells}<td class="remark">{escape(row.remarks)}</td></tr>'


def _number(right: bool) -> str:
    return ' class="number"' if right else ""


def _left_out(left_out: Iterable[tuple[str, str]]) -> str:
    items = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in left_out)
    return f"<h2>Left out</h2>\n<details><summary>what, and why</summary><ul>{items}</ul></details>" if items else ""


def _tensors(comparison: Comparison) -> str:
    if len(comparison.tensors) == 1:
        return ""
    parts = ["<h2>Tensor by tensor</h2>"]
    for name, dtype, shape in comparison.tensors:
        tables = "".join(
            f"<p>α = {alpha:g}</p>{_table([r for r in comparison.rows if r.tensor == name and r.alpha == alpha])}"
            for alpha in comparison.alphas
        )
        title = f"{escape(name)} <span class=muted>{dtype} {'×'.join(map(str, shape))}</span>"
        parts.append(f"<details><summary>{title}</summary>{tables}</details>")
    return "\n".join(parts)
