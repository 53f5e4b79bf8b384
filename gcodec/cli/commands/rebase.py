"""`gcodec rebase`: a container without bases from one with bases."""

from typing import TYPE_CHECKING, cast

from ...errors import InvalidInput
from .. import options as opt
from ..files import container_file
from ..output import label, plural, show, way
from ..targets import Counted, binary_target
from .bases import open_bases

if TYPE_CHECKING:
    from typing import BinaryIO


def rebase(
    file: opt.FileArg,
    output: opt.NeededOutOpt,
    base: opt.BasesOpt = None,
    base_dir: opt.BaseDirOpt = None,
    limit: opt.LimitOpt = None,
    threads: opt.ThreadsOpt = None,
    force: opt.ForceOpt = False,
    json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Write FILE so that it stands alone: its tensors decode to the same bits without any base."""
    from ...container.budget import Budget
    from ...container.reader import Stream, whole
    from ...container.writer import ContainerWriter
    from ...io import formats
    from ...parallel import thread_count
    from ...pipeline.bases.rebase import rebase as write_alone

    count = thread_count(threads)
    with container_file(file) as source, open_bases(base, base_dir, count) as bases:
        budget = Budget.of(source, limit)
        stream = Stream(source)
        records = whole(stream if bases is None else bases.on(stream))
        first = next(records, None)
        with binary_target(output, force, file) as target:
            counted = Counted(target)
            writer = ContainerWriter(cast("BinaryIO", counted), stream.meta, formats.work_per_byte(stream.meta))
            headers = []
            for headers_of in ([] if first is None else [first]), records:
                headers += list(write_alone(headers_of, writer, count, budget))
            writer.close()
    if first is None and not headers:
        raise InvalidInput(f"{label(file)}: holds no tensor")
    text = f"{way(file, output)}: {plural(len(headers), 'tensor')}, {counted.size:,} bytes"
    show(
        {"input": file, "output": output, "bytes": counted.size},
        text,
        as_json=json,
        quiet=quiet,
        to_stderr=output == "-",
    )
