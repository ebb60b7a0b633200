"""What the build of the site does beside Markdown: generated pages, links to files, no network."""

from __future__ import annotations

import contextlib
import io
import os
import re
import textwrap
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
COMMAND_LINE = "reference/command_line.md"
COMING = ("service.md", "page.md", "security.md")
"""Pages that have a place and are not written yet."""

WIDTH = 78
"""Characters of a help text that stand in a line of the page."""

LINK = re.compile(r"(?<=\]\()((?:\.\./)+[^)\s#]*)(?=[)#])")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Take the pages that are not there yet out of the navigation, and name the source."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    config.repo_url, config.repo_name = known["urls"]["Source"], "source"
    config.nav = _there(config.nav)
    return config


def _there(entry: Any) -> Any:
    if isinstance(entry, list):
        return [kept for one in entry if (kept := _there(one)) not in (None, [])]
    if isinstance(entry, dict):
        found = {title: kept for title, one in entry.items() if (kept := _there(one))}
        return found or None
    coming = entry in COMING and not (ROOT / "docs" / entry).exists()
    return None if coming else entry


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference of the command line."""
    files.append(File.generated(config, COMMAND_LINE, content=command_line()))
    return files


def command_line() -> str:
    """Return every command with its options, as the program's own parser says them."""
    from ifvit.verbs import VERBS

    text = "# Command line\n\nThis page is what `ifvit COMMAND --help` says of each command.\n"
    for group, verbs in VERBS.items():
        text += f"\n## {group[0].upper()}{group[1:]}\n"
        for verb, line in verbs.items():
            text += f"\n### ifvit {verb}\n\n{line[0].upper()}{line[1:]}.\n\n"
            text += f"```text\n{help_of(verb)}\n```\n"
    return text


def help_of(verb: str) -> str:
    """Return what ``ifvit VERB --help`` says, without its frames."""
    from ifvit.cli import parse

    said, before = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(WIDTH)
    try:
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            parse(verb, ["--help"])
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before
    return plain(said.getvalue())


def plain(text: str) -> str:
    """Return a help text without its frames, drawn in boxes or in dashes."""
    lines = [re.sub(r"^│|[╭╮╰╯─│]|-{10,}", "", line).rstrip() for line in text.splitlines()]
    kept: list[str] = []
    for line in lines:
        title = re.fullmatch(r" {0,2}([a-z. ]* ?(?:options|arguments))", line)
        if title:
            kept += ["", f"{title[1].strip()}:"]
        elif line.startswith(" ") and line.strip():
            kept.append(line)
        elif line.strip() or not kept or kept[-1]:
            kept += textwrap.wrap(line, WIDTH) or [""]
    return "\n".join(line for n, line in enumerate(kept) if line or (n and kept[n - 1])).strip()


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files beside the documents lead to the source.

    Raises PluginError for one that leads to no file.
    """
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def led(found: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / found[1]))
        if target.is_relative_to(ROOT / "docs"):
            return found[1]
        if not target.exists():
            raise PluginError(f"{page.file.src_uri}: the link {found[1]} leads to no file")
        return f"{config.repo_url}/blob/main/{target.relative_to(ROOT).as_posix()}"

    return LINK.sub(led, markdown)


class _Loaded(HTMLParser):
    """Collects what a page loads from elsewhere: links are followed by readers, these are not."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the address of what this element loads, where it is not of this site."""
        named = {"script": "src", "img": "src", "iframe": "src", "link": "href"}.get(tag)
        values = dict(attrs)
        if tag == "link" and values.get("rel") == "canonical":
            return
        address = values.get(named) if named else None
        if address and re.match(r"(?:https?:)?//", address):
            self.foreign.append(address)


def on_post_build(config: MkDocsConfig) -> None:
    """Raise PluginError where a page would load something from elsewhere."""
    for path in sorted(Path(config.site_dir).rglob("*.html")):
        parser = _Loaded()
        parser.feed(path.read_text(encoding="utf-8"))
        if parser.foreign:
            raise PluginError(f"{path.name} loads {', '.join(parser.foreign)} from elsewhere")
