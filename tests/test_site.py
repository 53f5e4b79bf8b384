"""The site builds without a warning and fetches nothing; its pictures are those of the program."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs" / "site"
REMOTE = re.compile(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)="?(?:https?:)?//[^"\s>]+""")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs", reason="the extra gcodec[docs] is not installed")
    folder = tmp_path_factory.mktemp("site")
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return folder


def test_the_site_fetches_nothing_from_other_hosts(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    found = {path.name: REMOTE.findall(path.read_text(encoding="utf-8")) for path in pages}
    assert {name: links for name, links in found.items() if links} == {}
    assert REMOTE.search('<script src="https://unpkg.com/x.js">') and REMOTE.search("<link href=//a.b/c.css>")


class Links(HTMLParser):
    """What a page links to, and the places in it that links may name."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.anchors = {""}
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src"):
                self.targets.add(value or "")
            elif name == "id":
                self.anchors.add(value or "")


def dead_links(site: Path) -> set[tuple[str, str]]:
    """The links of pages to files of the site that are not there, or to no anchor of a page."""
    pages = {path: Links(path) for path in site.rglob("*.html")}
    dead = set()
    for page, links in pages.items():
        for target in links.targets:
            found = urlsplit(target)
            if found.scheme or found.netloc:
                continue
            where = page if not found.path else Path(os.path.normpath(page.parent / unquote(found.path)))
            if found.path.startswith("/"):  # as 404.html has them
                where = site / found.path.strip("/")
            where = where / "index.html" if where.is_dir() else where
            if not where.is_file() or (where in pages and unquote(found.fragment) not in pages[where].anchors):
                dead.add((page.relative_to(site).as_posix(), target))
    return dead


def test_links_of_the_site_lead_somewhere(site):
    assert dead_links(site) == set()


def test_dead_links_of_a_site_are_found(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.html").write_text('<a href="../y.html#b">1</a><a href="../y.html#c">2</a><img src="z.png">')
    (tmp_path / "y.html").write_text('<h1 id="b"><a href="a/">3</a><a href="https://a.b/c">4</a><a href="#b">5</a>')
    assert dead_links(tmp_path) == {("a/x.html", "../y.html#c"), ("a/x.html", "z.png"), ("y.html", "a/")}


def test_what_is_generated_is_there(site):
    """All options of all commands, and all public names with their docstrings."""
    import gcodec

    commands = (site / "command-line.html").read_text(encoding="utf-8")
    assert all(word in commands for word in ("--pointwise", "--salvage", "--against", "--html"))
    python = (site / "api.html").read_text(encoding="utf-8")
    assert [name for name in gcodec.__all__ if name != "errors" and f'id="gcodec.{name}"' not in python] == []
    assert "<code>alpha</code>: 0 &lt; alpha &lt; 1" in python and '<span class="o">&gt;&gt;&gt;</span>' in python
    assert 'id="gcodec.errors.Truncated"' in python


def test_pages_of_the_repository_are_pages_of_the_site(site):
    for page in ("index", "training", "spec/format", "spec/compressors/05-ecsq", "SECURITY", "corpora/index"):
        assert (site / f"{page}.html").is_file(), page
    assert 'href="spec/message.html"' in (site / "training.html").read_text(encoding="utf-8")


def test_the_pictures_are_drawn_by_the_program(tmp_path):
    pytest.importorskip("matplotlib")
    subprocess.run([sys.executable, str(SITE / "pictures.py"), str(tmp_path)], check=True, timeout=120)
    drawn, kept = ({path.name for path in folder.iterdir()} for folder in (tmp_path, ROOT / "docs" / "pictures"))
    assert drawn == kept and len(drawn) > 10
    words = {name: re.findall(r"<text[^>]*>([^<]*)<", (tmp_path / name).read_text()) for name in drawn}
    held = {name: re.findall(r"<text[^>]*>([^<]*)<", (ROOT / "docs/pictures" / name).read_text()) for name in kept}
    assert words == held  # lines and letters may lie a little apart with another matplotlib
