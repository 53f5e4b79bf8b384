"""The code of README and docs runs as it stands there, and links lead somewhere.

`<!-- not run: reason -->` on the line before a block excuses it.
"""

import csv
import importlib.util
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pages
import pytest
from pages import ROOT

PARTS = ("*.md", "docs/**/*.md", "examples/**/*.md")
OWN = {"docs/stores.md", "docs/training.md"}  # test_store_page.py and test_training_page.py run them
DEVELOPERS = {"CONTRIBUTING.md", "RELEASE.md"}  # their blocks are set-ups, tests and uploads
ALL = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for part in PARTS for path in ROOT.glob(part)
}
RUN = sorted(name for name in ALL if name not in OWN | DEVELOPERS and any(b.kind for b in pages.blocks(ALL[name])))


def outcome(page: Path, folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "tests" / "pages.py"), str(page)]
    environment = pages.furnish(folder)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("name", RUN)
def test_the_code_of_a_page_runs(name, tmp_path):
    for module in sorted(pages.needed(ALL[name])):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    done = outcome(ROOT / name, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(ALL.keys() - DEVELOPERS))
def test_blocks_are_of_a_known_kind(name):
    found = list(pages.blocks(ALL[name]))
    assert [block.kind for block in found if block.kind not in pages.KINDS] == []
    assert len(re.findall(r"^ *```", ALL[name], re.M)) == 2 * len(found), "a fence that no block has"


def test_code_that_fails_is_found(tmp_path):
    page = tmp_path / "page.md"
    for number, (text, code) in enumerate(
        {
            "```python\nx = 1\n```\n```sh\ngcodec info corpora/none.gcz || echo no\n```\n```python\nassert x == 1\n```": 0,
            "```python\nassert False\n```": 1,
            "```sh\nfalse\ntrue\n```": 1,
            "```sh\nfalse | true\n```": 1,
            "```sh\npip install 'gcodec[moon]'\n```": 1,
            "```sh\npip install 'gcodec[zarr]'\n```": 0,
            "<!-- not run: it cannot -->\n```python\nassert False\n```\n```text\nfalse\n```": 0,
        }.items()
    ):
        page.write_text(text + "\n")
        folder = tmp_path / str(number)
        folder.mkdir()
        assert (outcome(page, folder).returncode != 0) == bool(code), text


LINK = re.compile(r"(?<!`)!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|^    .*?$|`[^`\n]*`", re.M | re.S)
LINKED = sorted(
    {
        *ALL,
        *(p.relative_to(ROOT).as_posix() for part in ("spec", "corpora", "bench") for p in (ROOT / part).rglob("*.md")),
    }
)


def anchors(text: str) -> set[str]:
    """The anchors of headings, as sites of repositories make them."""
    heads = [re.sub(r"[`*]|\]\([^)]*\)|\[", "", head) for head in re.findall(r"^#+ (.*)$", text, re.M)]
    plain = ["".join(c for c in head.lower() if unicodedata.category(c)[0] in "LN" or c in " -_") for head in heads]
    return {head.strip().replace(" ", "-") for head in plain}


def dead(name: str, text: str) -> list[str]:
    """The links of a page that lead nowhere within the repository."""
    found = []
    for link in LINK.findall(CODE.sub("", text)):
        place, _, anchor = link.partition("#")
        if ":" in place:
            continue
        target = (ROOT / name).parent / place if place else ROOT / name
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            found.append(link)
    return found


@pytest.mark.parametrize("name", LINKED)
def test_links_lead_somewhere(name):
    assert dead(name, (ROOT / name).read_text(encoding="utf-8")) == []


def test_dead_links_are_found():
    text = (
        "# A b, `c`\n[x](#a-b-c) [y](#a-b) [z](docs) ![p](none.png) [q](docs/index.md#gcodec) [r](docs/index.md#none)"
    )
    assert dead("page.md", text.replace("#a-b", "README.md#a-b")) == [
        "README.md#a-b-c",
        "README.md#a-b",
        "none.png",
        "docs/index.md#none",
    ]
    assert anchors(text) == {"a-b-c"}


def measured() -> dict[tuple[str, str, str], dict[str, str]]:
    """The rows of the benchmark that README names, by tensor, coder and promise."""
    (table,) = re.findall(r"bench/results/[^)]*\.csv", ALL["README.md"])[:1]
    with (ROOT / table).open(encoding="utf-8") as file:
        return {(row["tensor"], row["coder"].split(",")[0], row["promise"]): row for row in csv.DictReader(file)}


def test_the_numbers_of_the_readme_are_rows_of_the_benchmark():
    """Each line of the table, with the promise of its columns, to the digits that it shows."""
    rows = measured()
    lines = re.findall(r"^\| (?:[\w ]*gradient|ResNet, update|trained weights) \|(.*)\|$", ALL["README.md"], re.M)
    tensors = ("lm_up", "lm_qkv", "cnn_delta", "lm_up_weights")
    bound, exact = "alpha 0.1", "exact"
    columns = (
        ("gcodec auto", bound), ("NNCodec", bound), ("SZ3", bound), ("zfp", bound),
        ("PowerSGD", "none; error at most 0.1"), ("gcodec lossless", exact), ("ZipNN", exact), ("pcodec", exact),
        ("zstd -9", exact),
    )  # fmt: skip
    assert len(lines) == len(tensors)
    for tensor, cells in zip(tensors, lines, strict=True):
        for (coder, promise), cell in zip(columns, cells.split("|"), strict=True):
            digits = len(cell.strip().partition(".")[2])
            row = rows.get((tensor, coder, promise))
            assert cell.strip() == (f"{float(row['bits']):.{digits}f}" if row else "–"), (tensor, coder)
    speeds = [
        f"{float(rows['lm_up', coder, bound]['encode']):.0f}"
        for coder in ("gcodec klt", "gcodec ecsq", "NNCodec", "SZ3")
    ]
    words = r"`klt` encodes (\d+) MB/s, `ecsq` (\d+) \([\d.]+ bits\), NNCodec (\d+), SZ3 (\d+)"
    assert re.findall(words, " ".join(ALL["README.md"].split())) == [tuple(speeds)]


def test_the_bits_of_the_page_of_methods_are_rows_of_the_benchmark():
    rows = measured()
    lines = re.findall(r"^\| (?:language|ResNet|small)[^|]*\|(.*)\|$", ALL["docs/methods/index.md"], re.M)
    for tensor, cells in zip(("lm_up", "lm_qkv", "cnn_delta", "mlp", "lm_up_weights"), lines, strict=True):
        for method, cell in zip(("sd", "ecsq", "tcq", "klt"), cells.split("|"), strict=True):
            bits = float(rows[tensor, f"gcodec {method}", "alpha 0.1"]["bits"])
            assert cell.strip() == f"{bits:.2f}", (tensor, method)
