"""What MkDocs cannot do by itself: one README for the repository and the site, and an API page for every module."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

README_HERE = "<!-- README.md -->"


def on_files(files: Any, *, config: Any) -> Any:
    """Add one API page for each public module or room of the package, so that none is forgotten."""
    package = Path(config.config_file_path).parent / "tunixhack"
    modules = {path.stem for path in package.glob("*.py")}
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    for name in sorted(name for name in modules | rooms if not name.startswith("_")):
        page = f"# tunixhack.{name}\n\n::: tunixhack.{name}\n"
        files.append(File.generated(config, f"api/{name}.md", content=page))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Put the README where the mark is, with links as they read from there.

    A link to docs/x.md becomes one to x.md. A file outside of docs/ has no page, so only the link's text stays.

    Raises:
        FileNotFoundError: the README links to a file that does not exist.
    """
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
        if target.startswith("docs/"):
            return f"[{text}]({target.removeprefix('docs/')})"
        return text

    return markdown.replace(README_HERE, re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", relink, readme))
