"""The house stays easy to survey: few modules at the top, small rooms, short files."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("gcodec", "tests", "spec")
# The reference decoder is one file on purpose: it can be copied and read without anything else.
ONE_FILE = ROOT / "spec" / "reference" / "decode.py"


def test_few_modules_stand_outside_of_rooms():
    modules = [path.stem for path in (ROOT / "gcodec").glob("*.py") if not path.stem.startswith("__")]
    assert 0 < len(modules) <= 8


def test_rooms_have_at_most_12_files():
    rooms = {path.parent for path in (ROOT / "gcodec").rglob("*.py")}
    assert {str(room) for room in rooms if len(list(room.glob("*.py"))) > 12} == set()


def test_files_have_at_most_300_lines():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if path != ONE_FILE]
    assert {str(path) for path in files if len(path.read_text(encoding="utf-8").splitlines()) > 300} == set()


def unannotated(path: Path) -> list[str]:
    """The functions of a file, inner ones too, of which a parameter or the result has no type."""
    return [
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and not (node.returns and all(a.annotation or a.arg in ("self", "cls") for a in parameters(node.args)))
    ]


def parameters(args: ast.arguments) -> list[ast.arg]:
    extra = [arg for arg in (args.vararg, args.kwarg) if arg]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *extra]


def test_kernels_have_annotations(tmp_path):
    """numba ignores them and mypy does not infer them, so only this test misses one."""
    files = list((ROOT / "gcodec" / "kernels").rglob("*.py"))
    assert len(files) > 20
    assert {str(path): unannotated(path) for path in files if unannotated(path)} == {}
    bare = tmp_path / "bare.py"
    bare.write_text("def f(x) -> int:\n  def g(*x) -> int: ...\ndef h(x: int): ...\ndef whole(x: int) -> int: ...\n")
    assert sorted(unannotated(bare)) == ["f", "g", "h"]
