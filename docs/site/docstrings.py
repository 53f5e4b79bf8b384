"""Docstrings of this project as Markdown: `name: what it is` becomes an item of a list.

mkdocstrings loads this file as an extension of griffe.
"""

import re
from typing import Any

import griffe

ITEM = re.compile(r"(?!https?:)(?:\w+)(?:, \w+)*: ")
INDENT = "    "


class Items(griffe.Extension):
    """Rewrites each docstring once, when its object is found."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(text: str) -> str:
    """The text, paragraph by paragraph."""
    return "\n\n".join(_paragraph(part) for part in re.split(r"\n{2,}", text.strip("\n")))


def _paragraph(text: str) -> str:
    lines = text.splitlines()
    if lines[0].startswith(">>> "):
        return "\n".join(["```python", *lines, "```"])
    if all(line.startswith(INDENT) for line in lines):
        return "\n".join(["```text", *(line.removeprefix(INDENT) for line in lines), "```"])
    return _list(lines)


def _list(lines: list[str]) -> str:
    """Lines that begin with a name and a colon are items, and those after them their rest."""
    result, item = [], False
    for line in lines:
        if found := ITEM.match(line):
            names = ", ".join(f"`{name}`" for name in found[0].removesuffix(": ").split(", "))
            result += [""] if result and not item else []
            result.append(f"* {names}: {line[found.end() :]}")
            item = True
        else:
            result.append(INDENT + line.strip() if item else line)
    return "\n".join(result)
