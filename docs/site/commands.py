"""The reference of the command line, made from the help texts of the program."""

from typing import Any

import typer

from gcodec.cli.main import app


def reference() -> str:
    """A section for each command: what it does, its arguments, and a table of its options."""
    group: Any = typer.main.get_command(app)
    return "\n\n".join(_section(name, command) for name, command in group.commands.items())


def _section(name: str, command: Any) -> str:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    usage = " ".join(["gcodec", name, "[OPTIONS]", *(argument.metavar for argument in arguments)])
    rows = [(argument.metavar, argument.help or "") for argument in arguments]
    rows += [(_names(option), (option.help or "") + _default(option)) for option in options]
    table = ["| | |", "|---|---|", *(f"| `{_cell(left)}` | {_cell(_words(right))} |" for left, right in rows)]
    return "\n".join([f"## {name}", "", _words(" ".join(command.help.split())), "", f"    {usage}", "", *table])


def _names(option: Any) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} {option.metavar or option.name.upper()}"


def _default(option: Any) -> str:
    is_said = option.show_default and not option.is_flag and option.default not in (None, [], ())
    return f" The default is {getattr(option.default, 'value', option.default)}." if is_said else ""


def _words(text: str) -> str:
    """Text in which Markdown sees nothing of its own."""
    return text.replace("*", r"\*").replace("<", "&lt;").replace("_", r"\_")


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
