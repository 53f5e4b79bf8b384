"""The prose of the project has narrow lines, and none of the words that are hard to read."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WIDTH = 100  # columns of prose; code may go to 120
HARD = re.compile(r"\b(surely|but for|told|so manieth)\b", re.IGNORECASE)
FOLDERS = ("gcodec", "spec", "docs", "corpora", "tests", "examples", "bench")
PARTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in (
        "*.md",
        *(f"{folder}/**/*.{kind}" for folder in FOLDERS for kind in ("py", "md")),
    )
    for path in ROOT.glob(pattern)
    if path != Path(__file__)  # it has the words that it looks for
)


def markdown(text: str) -> Iterator[tuple[int, str]]:
    """The lines of prose with their numbers: no code, tables, pictures or single long links."""
    code = False
    for number, line in enumerate(text.splitlines(), 1):
        fence = line.lstrip().startswith("```")
        code ^= fence
        if not (code or fence or line.startswith(("    ", "|", "![")) or len(line.split()) == 1):
            yield number, line


def comments(text: str) -> Iterator[tuple[int, str, bool]]:
    """The comments of a program: number, text, and whether the comment has the line for itself."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string, token.line.lstrip().startswith("#")


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The lines of all strings that are statements, with their numbers and their indentation."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for i, line in enumerate(node.value.value.split("\n")):
                yield node.lineno + i, line


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """All strings of a program, messages and docstrings alike."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, " ".join(node.value.split())


def faults(path: Path) -> Iterator[str]:
    """What is wrong with the prose of a file, with the numbers of the lines."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    if path.suffix == ".md":
        prose, wide = list(markdown(text)), [number for number, line in markdown(text) if len(line) > WIDTH]
    else:
        tree = ast.parse(text)
        found = list(comments(text))
        prose = [(number, comment) for number, comment, _ in found] + list(strings(tree))
        whole = {number for number, _, alone in found if alone} | {number for number, _ in docstrings(tree)}
        wide = sorted(number for number in whole if len(lines[number - 1]) > WIDTH)
    yield from (f"line {number} is wider than {WIDTH} columns" for number in wide)
    for number, line in prose:
        if word := HARD.search(line) or re.match("# of ", line):
            yield f"line {number} says {word[0]!r}"


@pytest.mark.parametrize("part", PARTS)
def test_prose_is_easy_to_read(part):
    assert list(faults(ROOT / part)) == []


def test_faults_are_found(tmp_path):
    program = tmp_path / "program.py"
    wide = "word " * 20 + "end"
    program.write_text(
        f'"""{wide}"""\nx = 1  # of the tensor\n# {wide}\nraise ValueError("the bound\\n surely holds")\n'
    )
    assert list(faults(program)) == [
        "line 1 is wider than 100 columns",
        "line 3 is wider than 100 columns",
        "line 2 says '# of '",
        "line 4 says 'surely'",
    ]
    page = tmp_path / "page.md"
    page.write_text(f"| {wide} |\n```\n{wide} told\n```\n{wide}\nAll but for one.\n")
    assert list(faults(page)) == ["line 5 is wider than 100 columns", "line 6 says 'but for'"]
