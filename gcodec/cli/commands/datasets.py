"""What `info`, `verify` and `decode` do with an HDF5 file whose datasets gcodec's filter coded."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ...errors import FormatError, InvalidInput, MissingTensor
from ...io import formats, sniff, streams
from ..files import SUFFIX, decoded_name, tensor_file
from ..output import plural, printable, progress_bar, show, table, way
from ..targets import folder_target, whole_target

if TYPE_CHECKING:
    from ...io.hdf5.coded.source import CodedSource
    from ...source import Source
    from ...verification.chunks import DatasetReport


def is_hdf5(name: str) -> bool:
    """Whether this is the name of an HDF5 file here."""
    path = Path(name)
    if not name or not path.is_file():
        return False
    with open(path, "rb") as file:
        return sniff.kind_of(file.read(sniff.PREFIX), path.suffix) == "h5"


def refuse(file: str, options: Mapping[str, object]) -> None:
    """Raise InvalidInput for an option that was given and says nothing of HDF5 files."""
    for name, value in options.items():
        if value not in (None, False, 0):
            raise InvalidInput(f"{name} is for gcodec files, and {file} is HDF5; leave it out")


def show_info(file: str, *, as_json: bool) -> None:
    """List the datasets that gcodec coded."""
    from ...verification.chunks import describe_dataset

    with _coded(file) as found:
        reports = [describe_dataset(name, source) for name, source in found.items()]
    rows: list[tuple[str, ...]] = [("name", "dtype", "shape", "method", "guarantee", "chunks", "bytes", "bits/value")]
    rows += [_row(report) for report in reports]
    head = f"{file}: HDF5 with {plural(len(reports), 'dataset')} that gcodec coded"
    result = {"datasets": [report.to_json() for report in reports]}
    show(result, f"{head}\n\n{table(rows, right=(5, 6, 7))}", as_json=as_json)


def show_checks(
    file: str, against: str | None, dtypes: dict[str, str], threads: int | None, *, as_json: bool, quiet: bool
) -> None:
    """Check each chunk of these datasets, against another file of tensors if one is given."""
    from ...verification.chunks import verify_dataset

    with ExitStack() as stack:
        found = stack.enter_context(_coded(file))
        originals: dict[str, Source] | None = None
        if against is not None:
            originals = dict(stack.enter_context(tensor_file(against, dtypes)).tensors())
        reports = []
        for name, source in found.items():
            if originals is not None and name not in originals:
                raise MissingTensor(f"{against}: holds no tensor named {name!r}")
            with streams.about(file, FormatError):
                reports.append(verify_dataset(name, source, (originals or {}).get(name), threads))
    ok = all(report.ok for report in reports)
    blocks = [
        f"{printable(report.name)}: {_promise(report)}\n"
        + table(("  ok" if check.ok else "  FAILS", check.name, check.detail) for check in report.checks)
        for report in reports
    ]
    verdict = "every promise holds" if against else "consistent; the error was not measured (give --against)"
    text = "\n\n".join([*blocks, f"{file}: {verdict if ok else 'a promise is broken'}"])
    result = {"ok": ok, "datasets": [report.to_json() for report in reports]}
    show(result, text, as_json=as_json, quiet=quiet)
    if not ok:
        raise typer.Exit(1)


def expand(
    file: str,
    output: str | None,
    tensor: str | None,
    to: str | None,
    limit: int | None,
    trust: bool,
    force: bool,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a file with the values of these datasets: HDF5 that is else the same, or another."""
    from ...container.budget import Budget
    from ...io.skeleton import is_skeleton
    from ...io.uncoded import uncoded, words

    fmt = to or formats.SUFFIXES.get(Path(output or "").suffix, "h5" if tensor is None else "npy")
    if fmt not in formats.MODULES:
        raise InvalidInput(f"--to {to}: unknown; known are {', '.join(formats.MODULES)}")
    output = output or decoded_name(file, fmt, None)
    if Path(output).suffix == SUFFIX:
        raise InvalidInput(f"{output}: decode writes no gcodec files; use gcodec encode")
    with ExitStack() as stack:
        reader = stack.enter_context(tensor_file(file, trust=trust))
        sources = dict(reader.tensors())
        coded = _only_coded(file, sources)
        if tensor is not None:
            if tensor not in sources or is_skeleton(tensor):
                raise MissingTensor(f"{file}: holds no tensor named {tensor!r}; gcodec info lists names")
            sources = {tensor: sources[tensor]}
        elif fmt != "h5":
            sources = {name: source for name, source in sources.items() if not is_skeleton(name)}
        meta = {**reader.meta, "names": list(sources)} if tensor is None else {}
        path = stack.enter_context((folder_target if fmt == "folder" else whole_target)(output, force, file))
        total = sum(source.size * source.dtype.itemsize for source in sources.values())
        progress = stack.enter_context(progress_bar(total, "decoding", quiet))
        with formats.writer(path, fmt, meta, Budget(limit, Path(file).stat().st_size), trust) as writer:
            for name, source in sources.items():
                for values in _copied(source, writer.add(name, source.dtype, source.shape)):
                    progress(values)
    names = [name for name in sources if not is_skeleton(name)]
    result: dict[str, Any] = {"input": file, "output": output, "format": fmt, "tensors": names, "coded": list(coded)}
    text = f"{way(file, output)}: {plural(len(names), 'tensor')}, {len(coded):,} of which gcodec coded"
    if (parts := uncoded(reader.meta)) and tensor is None:
        count = int(str(reader.meta["kept"]))
        result |= {} if fmt == "h5" else {"left_out": {"datasets": count}}
        fate = "as they were, those that name the filter only for those who have gcodec" if fmt == "h5" else "left out"
        text += f"\n{plural(count, 'dataset')} {fate}: {words(parts, count)}"
    show(result, text, as_json=as_json, quiet=quiet, to_stderr=output == "-")


def _copied(source: "Source", sink: formats.Sink) -> Iterator[int]:
    """Write a tensor, and give the bytes of each piece when it is written."""
    from ...compressors.contract import CHUNK
    from ...source import spans

    for start, stop in spans(source.size, CHUNK):
        values = source.read(start, stop)
        sink.write(start, values)
        yield values.nbytes


@contextmanager
def _coded(file: str) -> "Iterator[dict[str, CodedSource]]":
    with tensor_file(file) as reader, streams.about(file, FormatError):
        yield _only_coded(file, dict(reader.tensors()))


def _only_coded(file: str, sources: "Mapping[str, Source]") -> "dict[str, CodedSource]":
    """The datasets that gcodec coded. Raises InvalidInput when there are none."""
    from ...io.hdf5.coded.source import CodedSource

    own = {name: getattr(source, "source", source) for name, source in sources.items()}
    found = {name: source for name, source in own.items() if isinstance(source, CodedSource)}
    if not found:
        raise InvalidInput(
            f"{file}: is HDF5 without a dataset that gcodec coded; gcodec encode makes a gcodec file of it"
        )
    return found


def _promise(report: "DatasetReport") -> str:
    kind, bound = report.guarantee
    return "exact" if kind == "exact" else f"{kind} ≤ {bound:g}"


def _row(report: "DatasetReport") -> tuple[str, ...]:
    said: dict[str, Any] = report.to_json()
    size = 1
    for n in report.shape:
        size *= n
    methods = [*said["methods"], *(["raw"] if report.raw else [])]
    return (
        printable(report.name), report.dtype, "×".join(map(str, report.shape)), ", ".join(methods),
        _promise(report), f"{report.chunks:,}", f"{report.nbytes:,}", f"{8 * report.nbytes / max(size, 1):.4f}",
    )  # fmt: skip
