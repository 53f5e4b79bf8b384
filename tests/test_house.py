"""The house stays easy to survey: few modules at the top, small rooms, short files."""

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
