"""The manual page, made from the help texts.

python -m gcodec.cli.man > docs/gcodec.1
"""

import sys
from typing import Any

import typer

from .. import __version__
from .main import app

EXIT_CODES = {
    "0": "All is well.",
    "1": "A bound is not met, as verify found.",
    "2": "The usage is wrong, or the input cannot be encoded.",
    "3": "The file is corrupt or cut.",
    "4": "The file needs a later version of gcodec.",
    "5": "The operating system refused something, or more is asked for than the limit allows.",
    "70": "gcodec has a fault; please report it.",
    "130": "The command was interrupted.",
}


def page() -> str:
    """The page in the language of man."""
    group: Any = typer.main.get_command(app)
    lines = [f'.TH GCODEC 1 "" "gcodec {__version__}" "User Commands"', ".SH NAME"]
    lines += [r"gcodec \- " + _text(group.help[0].lower() + group.help[1:].rstrip(".")), ".SH SYNOPSIS"]
    lines += [".B gcodec", ".I COMMAND", "[OPTIONS]", ".SH COMMANDS"]
    for name, command in group.commands.items():
        lines += _command(name, command)
    lines += [".SH EXIT STATUS"]
    for code, meaning in EXIT_CODES.items():
        lines += [".TP", f".B {code}", meaning]
    lines += [".SH FILES", r"\- stands for standard input or output, and may be used for any file."]
    return "\n".join(lines) + "\n"


def _command(name: str, command: Any) -> list[str]:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    head = " ".join([rf"\fB{name}\fR", *(rf"\fI{_text(argument.metavar)}\fR" for argument in arguments)])
    lines = [f".SS {head}", _text(" ".join(command.help.split()))]
    for argument in arguments:
        lines += [".TP", rf"\fI{_text(argument.metavar)}\fR", _text(argument.help)]
    for option in options:
        names = ", ".join(rf"\fB{_text(text)}\fR" for text in option.opts)
        value = "" if option.is_flag else rf" \fI{_text(option.metavar or option.name.upper())}\fR"
        lines += [".TP", names + value, _text(option.help or "")]
    return lines


def _text(text: str) -> str:
    """Text with the letters that man would take for its own."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return r"\&" + escaped if escaped[:1] in (".", "'") else escaped


if __name__ == "__main__":
    sys.stdout.write(page())
