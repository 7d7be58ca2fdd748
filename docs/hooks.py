"""What MkDocs cannot do by itself: one README for the repository and the site, and API pages out of docstrings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

README_HERE = "<!-- README.md -->"


def on_files(files: Any, *, config: Any) -> Any:
    """Add the API pages that mkdocs.yml lists, and the notebooks, which pages link to."""
    for page in _pages(config.nav):
        module = page.removeprefix("api/").removesuffix(".md")
        if page.startswith("api/tunixhack"):
            files.append(File.generated(config, page, content=f"# {module}\n\n::: {module}\n"))
    for notebook in sorted((Path(config.config_file_path).parent / "notebooks").glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{notebook.name}", abs_src_path=str(notebook)))
    return files


def _pages(nav: Any) -> Iterator[str]:
    """Return the paths in a navigation, however deep."""
    for entry in nav:
        found = next(iter(entry.values())) if isinstance(entry, dict) else entry
        yield from [found] if isinstance(found, str) else _pages(found)


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Put the README where the mark is, with links as they read from there.

    A link to docs/x.md becomes one to x.md, and the notebooks lie beside the pages. Another file outside of docs/ has
    no page, so only the link's text stays.

    Raises:
        FileNotFoundError: the README links to a file that does not exist.
    """
    markdown = markdown.replace("](../notebooks/", "](notebooks/")
    if README_HERE not in markdown:
        return markdown
    root = Path(config.config_file_path).parent
    readme = (root / "README.md").read_text(encoding="utf-8")

    def relink(link: re.Match[str]) -> str:
        text, target = link.groups()
        if re.match(r"https?:|#", target):
            return link.group()
        if not (root / target.split("#")[0]).exists():
            raise FileNotFoundError(f"README.md links to {target}, which does not exist")
        if target.startswith("notebooks/"):
            return link.group()
        if target.startswith("docs/"):
            return f"[{text}]({target.removeprefix('docs/')})"
        return text

    return markdown.replace(README_HERE, re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", relink, readme))
