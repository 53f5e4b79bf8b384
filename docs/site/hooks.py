"""What mkdocs does not do by itself: the repository as one tree of pages, and the help texts."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = ("docs/**/*.md", "spec/**/*.md", "corpora/README.md", "examples/**/*.md", "[CRS]*.md")
# What pages link to: pictures, tables, programs, vectors.
OTHERS = (
    "docs/**/*.png", "docs/**/*.svg", "docs/**/*.csv", "docs/site/*.css", "spec/**/*.py", "spec/gcodec.ksy",
    "spec/vectors/**/*.gc[mz]", "examples/**/*.py", "examples/**/*.mjs", "examples/**/*.sh", "bench/**/*.csv",
    "bench/**/*.svg", "gcodec/compressors/contract.py",
)  # fmt: skip
COMMANDS = "<!-- the commands -->"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """A pattern in the navigation stands for the pages that it matches and no other entry names."""
    named = set(_names(config.nav))
    config.nav = _expanded(config.nav, named)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """All pages by their paths in the repository; in the site, those of docs/ stand at the top."""
    found = {path for pattern in (*PAGES, *OTHERS) for path in ROOT.glob(pattern)}
    found.discard(ROOT / "README.md")  # docs/index.md is the front page
    kept = [file for file in files if file.src_dir != config.docs_dir]  # those of the theme
    return Files([*kept, *(_file(path, config) for path in sorted(found))])


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """The page of the command line, with the help texts of all commands."""
    if COMMANDS not in markdown:
        return markdown
    sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
    from commands import reference

    return markdown.replace(COMMANDS, reference())


def _names(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for item in nav.values() if isinstance(nav, dict) else nav:
            yield from _names(item)


def _expanded(nav: Any, named: set[str]) -> Any:
    if isinstance(nav, dict):
        return {title: _expanded(item, named) for title, item in nav.items()}
    if isinstance(nav, str):
        return nav
    lists = [_matches(item, named) if isinstance(item, str) else [_expanded(item, named)] for item in nav]
    return [item for items in lists for item in items]


def _matches(entry: str, named: set[str]) -> list[str]:
    if "*" not in entry:
        return [entry]
    return sorted({path.relative_to(ROOT).as_posix() for path in ROOT.glob(entry)} - named)


def _file(path: Path, config: MkDocsConfig) -> File:
    name = path.relative_to(ROOT).as_posix()
    place = name.removeprefix("docs/")
    if path.suffix == ".md":
        place = (place.removesuffix("README.md") + "index.md" if path.name == "README.md" else place)[:-3] + ".html"
    return File(name, str(ROOT), config.site_dir, config.use_directory_urls, dest_uri=place)
