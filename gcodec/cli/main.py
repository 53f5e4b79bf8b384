"""The `gcodec` command: assembles the commands and turns errors into one line and an exit code.

The commands import what does the work inside their bodies, so that `--help` starts without numpy.
"""

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import typer

from .. import __version__
from ..errors import GcodecError, InternalError
from ..kernels import compiling
from . import bounds, compare, decode, encode, experiment, info, interrupt, verify

COMPILING_IS_LONG = 2.0  # seconds, from which on it is said

app = typer.Typer(
    name="gcodec",
    no_args_is_help=True,
    add_completion=False,
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


def guarded(command: Callable[..., object]) -> Callable[..., None]:
    """The command, with one line and an exit code for whatever goes wrong."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        compiling.call(None if options.get("quiet") else _say_compiling, COMPILING_IS_LONG)
        try:
            command(*args, **options)
            if sys.stdout:
                sys.stdout.flush()
        except GcodecError as error:
            _fail(str(error), error.exit_code)
        except typer.Exit:
            raise
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit is quiet
            _fail("the reader of the output closed the pipe", 5)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            hint = "; check the name" if isinstance(error, FileNotFoundError) else ""
            _fail(f"{where}{error.strerror or error}{hint}", 5)
        except MemoryError:
            _fail("not enough memory for this tensor", 5)
        except KeyboardInterrupt as stop:
            print("gcodec: interrupted; nothing was left behind", file=sys.stderr, flush=True)
            os._exit(128 + (stop.args[0] if stop.args else signal.SIGINT))  # without waiting for threads at work
        except Exception as error:
            _fail(_fault(error), InternalError.exit_code)

    return run


def _fault(error: Exception) -> str:
    """One line on an error that should not happen, with what someone who mends it needs to know."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    words = " ".join(f"{type(error).__name__}: {error}".split())
    return (
        f"this is a fault of gcodec {__version__}, please report it with this line and the command: {words} "
        f"({Path(place.filename).name}, line {place.lineno})"
    )


def _say_compiling() -> None:
    if sys.stderr:
        print("gcodec: compiling kernels, once", file=sys.stderr, flush=True)


def _fail(message: str, code: int) -> NoReturn:
    print(f"gcodec: {message}", file=sys.stderr)
    sys.exit(code)


for module in (encode, decode, verify, info, bounds, compare, experiment):
    app.command()(guarded(getattr(module, module.__name__.rpartition(".")[2])))


def main() -> None:
    """The entry point of the `gcodec` script."""
    interrupt.install()
    warnings.showwarning = lambda message, *_: print(f"gcodec: warning: {message}", file=sys.stderr)
    guarded(app)()
