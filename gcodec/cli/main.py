"""The `gcodec` command: assembles the commands and turns errors into one line and an exit code.

The commands import what does the work inside their bodies, so that `--help` starts without numpy.
"""

import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from .. import __version__
from ..io.streams import PLAIN_LETTERS, fill_closed, naming, write_text
from ..kernels.compiler import notice
from . import interrupt, memory, output
from .commands import bounds, compare, decode, encode, experiment, info, inspect, rebase, verify
from .failure import USAGE, Failure, failure_of

COMPILING_IS_LONG = 2.0  # seconds, from which on it is said


def guarded(command: Callable[..., object]) -> Callable[..., None]:
    """The command; whatever goes wrong gives one line, an exit code, and with --json an object."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        asked = options.get("json", "--json" in (args[0] if args else sys.argv))
        notice.call(None if options.get("quiet") or asked else _say_compiling, COMPILING_IS_LONG)
        with output.notes(asked):
            try:
                if command is app:  # what it does on its own is to print help and the version
                    with naming("standard output"):
                        command(*args, **options)
                else:
                    memory.check(options.get("threads", 1))
                    memory.share_heap()
                    command(*args, **options)
                if sys.stdout:
                    with naming("standard output"):
                        sys.stdout.flush()
            except typer.Exit:
                raise
            except output.Partial as partial:
                _fail(failure_of(interrupt.cause(partial.error)), asked, _is_stdout_taken(options), partial)
            except (Exception, KeyboardInterrupt) as error:
                _fail(failure_of(interrupt.cause(error)), asked, _is_stdout_taken(options))

    return run


def _say_compiling() -> None:
    if sys.stderr:
        with suppress(OSError):
            write_text(sys.stderr, "gcodec: compiling kernels, once\n")


def _fail(failure: Failure, as_json: bool, is_taken: bool, partial: output.Partial | None = None) -> NoReturn:
    """Say what went wrong, and end. is_taken: whether standard output is for data."""
    with suppress(OSError):  # nobody reads what is said
        if partial:
            output.show(partial.result | failure.to_json(), partial.text, as_json=as_json, to_stderr=is_taken)
        elif as_json:
            output.show(failure.to_json(), "", as_json=True, to_stderr=is_taken)
        if sys.stderr and not (as_json and is_taken):
            write_text(sys.stderr, f"gcodec: {failure.message}\n")
    if failure.code == "interrupted":
        os._exit(failure.exit_code)  # without waiting for threads at work
    if failure.code == "io":
        _hush()
    sys.exit(failure.exit_code)


def _hush() -> None:
    """Keep Python from saying, at its end, that standard output failed."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_stdout_taken(options: dict[str, Any]) -> bool:
    """Whether a command writes data to standard output."""
    where = options.get("output", "")
    return where == "-" or (where is None and "-" in (options.get("input"), options.get("file")))


class Commands(TyperGroup):
    """The commands; with --json, wrong usage gives an object too."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        asked = "--json" in (sys.argv if args is None else args)
        try:
            code = super().main(
                args, prog_name, complete_var, standalone_mode and not asked, windows_expand_args, **extra
            )
        except Exception as error:
            if not asked or not hasattr(error, "format_message"):  # which click's own errors have
                raise
            _fail(Failure("usage", error.format_message(), USAGE), True, False)
        sys.exit(code if isinstance(code, int) else 0)


app = typer.Typer(
    name="gcodec",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Compress gradients, model updates and checkpoints with a guaranteed relative L2 error.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"gcodec {__version__}, format 1.0")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    pass


for module in (encode, decode, verify, info, inspect, rebase, bounds, compare, experiment):
    app.command()(guarded(getattr(module, module.__name__.rpartition(".")[2])))


def main() -> None:
    """Run the command that the arguments name."""
    fill_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=PLAIN_LETTERS)
    warnings.showwarning = lambda message, *_: output.note(str(message))
    guarded(app)()
