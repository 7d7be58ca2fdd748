"""Pieces of HTML that a notebook shows of an object; all text in them is escaped, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tunixhack._util.safe_text import for_html


def heading(text: str) -> str:
    """Return a line in bold."""
    return f"<p><b>{for_html(text)}</b></p>"


def paragraph(text: str) -> str:
    """Return a paragraph whose line feeds are kept."""
    return f'<p style="white-space: pre-wrap">{for_html(text)}</p>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, its first and last columns to the left and the others, which are numbers, to the right.

    Args:
        header: what the columns are called.
        rows: as many texts each.
    """
    return f"<table>{_row('th', header)}{''.join(_row('td', row) for row in rows)}</table>"


def facts(name: str, told: Mapping[str, object]) -> str:
    """Return what is known of an object, a line each; what is None or empty is left out."""
    known = [(what, str(value)) for what, value in told.items() if value not in (None, "", {})]
    return heading(name) + table(("", ""), known)


def _row(kind: str, cells: Sequence[str]) -> str:
    sides = ["left" if place in (0, len(cells) - 1) else "right" for place in range(len(cells))]
    shown = (
        f'<{kind} style="text-align: {side}">{for_html(cell)}</{kind}>' for side, cell in zip(sides, cells, strict=True)
    )
    return f"<tr>{''.join(shown)}</tr>"
