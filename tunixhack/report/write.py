"""The report of a run, written as one HTML file."""

from __future__ import annotations

import base64
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO

from tunixhack._util.addresses import local_path
from tunixhack._util.files import write_atomically
from tunixhack._util.progress import Reporter
from tunixhack._util.safe_text import for_html
from tunixhack.errors import TunixHackError, UserError
from tunixhack.report.index import Index
from tunixhack.report.packing import data_block
from tunixhack.report.public_words import PublicWords
from tunixhack.report.report_rows import ReportRows, entries, report_rows
from tunixhack.report.sections import figures, funnel_section, lengths_section, scores_section
from tunixhack.runs.run import Run
from tunixhack.runs.state import REPORT
from tunixhack.runs.tables import written_at

CHUNK = 400_000
"""Characters of rows that a browser reads at once; a question's rows stay together."""


def write_report(run: Run, path: Path | None = None) -> Path:
    """Write the report of a run as one HTML file, which needs nothing else: no network, no other file.

    Args:
        run: in whatever state.
        path: of the file; ``report.html`` in the run's folder when None, which a run at an address has not.

    Returns:
        The file's path. One that was there is replaced as a whole.

    Raises:
        UserError: the run cannot be read, or the file not be written.
    """
    if path is None and run.address is not None:
        raise UserError(
            f"the report of {run.address} is written to a file of this machine: name one with --out, such as "
            f"{run.folder.name}.html"
        )
    path = local_path(path or run.folder / REPORT)
    state: dict[str, Any] = dict(run.state())
    rows = report_rows(run)
    public = PublicWords(state)
    state["funnel"] = [public.line(line) for line in state.get("funnel", [])]

    def write(draft: Path) -> None:
        with draft.open("w", encoding="utf-8", newline="\n", errors="replace") as file:
            _write(file, public.text(run.condition), state, rows)

    write_atomically(path, write)
    return path


@contextmanager
def with_report(folder: Path, report: Reporter) -> Iterator[None]:
    """Write the report of a run behind a build in the body, where it wrote rows; a report that fails is a sentence.

    A build that was refused or interrupted writes none: the folder stays as it is.

    Args:
        folder: the run's.
        report: where it is told.
    """
    run = Run(folder)
    before = _written(run)
    try:
        yield
    except BaseException:
        if _written(run) not in (None, before):
            _try(run, report, tell=False)  # how to go on is the last that is said
        raise
    if _written(run) not in (None, before):
        _try(run, report)


def _written(run: Run) -> int | None:
    """Return when the rows were written that there are to show; None where there are none."""
    found = []
    for folder in (run.folder, run.pilot_folder):
        found.append(written_at(folder, "train") or 0)
    return max(found) or None


def _try(run: Run, report: Reporter, *, tell: bool = True) -> None:
    try:
        path = write_report(run)
        if tell:
            report.say(f"report: {path}")
    except TunixHackError as error:
        report.warn(f"the report is not written: {error}")
    except Exception as error:  # noqa: BLE001  # the dataset is written and paid for: a picture of it cannot fail it
        report.warn(f"the report is not written ({type(error).__name__}: {error}); all else is")


def _write(file: TextIO, condition: str, state: dict[str, Any], rows: ReportRows) -> None:
    style, script = (_own(name) for name in ("report.css", "report.js"))
    title = f"{state.get('domain', 'run')}: report"
    file.write(
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{for_html(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )
    version = f"made with TunixHack {state['tunixhack']}" if state.get("tunixhack") else ""
    told = "; ".join(filter(None, [condition, version]))
    file.write(
        '<a class="skip" href="#rows">Skip to the rows</a>\n'
        f"<header><h1>{for_html(str(state.get('domain', 'run')))}</h1><p>{for_html(told)}</p></header>\n<main>\n"
    )
    file.write(figures(state, rows))
    file.write(funnel_section(state) + lengths_section(rows.answers) + scores_section(state, rows))
    file.write(_own("rows.html"))
    file.write("</main>\n")
    # the index comes before what it tells of, so that the first page is shown while the rest is still being read
    with tempfile.TemporaryFile("w+", encoding="ascii") as blocks:
        file.write(data_block("index", _write_rows(blocks, rows)))
        file.write(f"<script>{script}</script>\n")
        blocks.seek(0)
        shutil.copyfileobj(blocks, file)
    file.write("</body>\n</html>\n")


def _write_rows(file: TextIO, rows: ReportRows) -> dict[str, Any]:
    """Write the texts of all rows as blocks, and return their index."""
    index, number, size = Index(rows), 0, 0
    chunk: list[dict[str, Any]] = []
    for entry in entries(rows):
        chunk.append(index.add(entry, number))
        size += entry.size
        if size >= CHUNK:
            file.write(data_block(f"rows-{number}", chunk))
            chunk, number, size = [], number + 1, 0
    if chunk:
        file.write(data_block(f"rows-{number}", chunk))
    return index.content(number + bool(chunk))


def _own(name: str) -> str:
    return (files("tunixhack.report") / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return what the page may do: run this script, look like this, and load nothing."""
    style, script = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    return (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; base-uri 'none'; "
        "form-action 'none'"
    )
