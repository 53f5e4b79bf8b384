"""The `gcodec` command: assembles the commands and turns errors into one line and an exit code."""

import os
import sys

import typer

from .. import __version__
from ..errors import GcodecError
from . import bounds, decode, encode, info, verify

app = typer.Typer(
    name="gcodec",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Compress gradients, model updates and checkpoints with a guaranteed relative L2 error.",
)
for command in (encode, decode, verify, info, bounds):
    app.command()(getattr(command, command.__name__.rsplit(".", 1)[1]))


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"gcodec {__version__}, format 1.0")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    pass


def main() -> None:
    """Run the command line; never shows a traceback for what a user or a file did wrong."""
    try:
        app()
        sys.stdout.flush()
    except GcodecError as error:
        _fail(str(error), error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that Python's own flush at exit is quiet
        _fail("the reader of the output closed the pipe", 5)
    except OSError as error:
        _fail(f"{error.filename or 'input or output'}: {error.strerror or error}", 5)
    except MemoryError:
        _fail("not enough memory for this tensor", 5)
    except KeyboardInterrupt:
        _fail("interrupted; nothing was left behind", 130)


def _fail(message: str, code: int) -> None:
    print(f"gcodec: {message}", file=sys.stderr)
    sys.exit(code)
