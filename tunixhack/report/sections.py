"""The parts of the report that no script draws: figures, pictures and tables, all text in them escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from tunixhack._util.safe_text import for_html
from tunixhack._util.wording import counted
from tunixhack.publish.card import teachers
from tunixhack.report.histogram import Distribution, histogram, share_sentence, shares
from tunixhack.report.report_rows import ReportRows
from tunixhack.runs.funnel import HEADER, cells
from tunixhack.runs.funnel_picture import KEPT, REJECTED, funnel_picture
from tunixhack.runs.sentences import cost_of, cost_sentence, run_sentences

WIDE, NARROW = 1000, 340


def section(name: str, title: str, *inner: str) -> str:
    """Return a section with its heading; nothing where nothing is in it."""
    return f'<section id="{name}"><h2>{for_html(title)}</h2>{"".join(inner)}</section>\n' if any(inner) else ""


def figures(state: Mapping[str, Any], rows: ReportRows) -> str:
    """Return the numbers that a person looks for first, and the sentences of a run."""
    funnel = state.get("funnel", [])
    kept, rejected = divided(rows.answers)
    right, cost = state.get("right"), cost_of(funnel)
    told = [
        (f"{kept.height:,}", "answer kept" if kept.height == 1 else "answers kept", _of(kept, "question")),
        (f"{rejected.height + rows.questions.height:,}", "rows rejected", _rejected(rejected, rows.questions)),
    ]
    if right and right["kept"]["of"]:
        share = right["kept"]
        of = f"by the reference, {share['count']:,} of {share['of']:,} kept"
        told.append((f"{100 * share['count'] / share['of']:.0f} %", "right", of))
    if cost is not None:
        told.append((cost, "cost", "of all answers, over all starts"))
    tiles = "".join(
        f'<div class="tile"><dt>{for_html(what)}</dt><dd class="number">{for_html(number)}</dd>'
        f"<dd>{for_html(more)}</dd></div>"
        for number, what, more in told
    )
    sentences = filter(None, [*run_sentences(state), cost_sentence(funnel), teachers_sentence(state, kept)])
    return f'<dl class="tiles">{tiles}</dl>' + "".join(
        f"<p>{for_html(one[:1].upper() + one[1:])}</p>" for one in sentences
    )


def teachers_sentence(state: Mapping[str, Any], kept: pl.DataFrame) -> str | None:
    """Name those whose answers were kept, as the card does."""
    return (
        f"Teacher: {teachers({'teachers': {}} | dict(state), set(kept['teacher'].drop_nulls()))}"
        if kept.height
        else None
    )


def _of(rows: pl.DataFrame, noun: str) -> str:
    return f"to {counted(rows['question_id'].n_unique(), noun)}"


def _rejected(answers: pl.DataFrame, questions: pl.DataFrame) -> str:
    return f"{counted(answers.height, 'answer')}, {counted(questions.height, 'question')}"


def divided(answers: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Divide answers into kept and rejected ones."""
    return answers.filter(pl.col("step").is_null()), answers.filter(pl.col("step").is_not_null())


def funnel_section(state: Mapping[str, Any]) -> str:
    """Return the funnel: twice as a picture, for wide and narrow windows, and as the table that `show` prints."""
    lines = state.get("funnel", [])
    pictures = funnel_picture(state, WIDE) + funnel_picture(state, NARROW)
    if not lines:
        return section("funnel", "Funnel", "<p>No step has run yet.</p>")
    shown = f"<details><summary>The same as a table</summary>{table(HEADER, map(cells, lines))}</details>"
    return section("funnel", "Funnel", f"<figure>{pictures}</figure>", shown)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table that scrolls where it is wider than the window; the columns between first and last are numbers."""
    head = "".join(f'<th scope="col">{for_html(one)}</th>' for one in header)
    body = "".join(f"<tr>{''.join(f'<td>{for_html(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="table"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def lengths_section(answers: pl.DataFrame) -> str:
    """Return how long traces and answers are."""
    kept, rejected = divided(answers)
    wanted = [("Trace", "characters", pl.col("reasoning").str.len_chars())]
    wanted += [("Answer", "characters", pl.col("answer").str.len_chars())]
    wanted += [("Tokens of the reply", "tokens", pl.col("completion_tokens"))]
    found = [
        Distribution(name, unit, *(rows.select(value).to_series() for rows in (kept, rejected)))
        for name, unit, value in wanted
    ]
    return section("lengths", "Lengths", *_cards(found))


def scores_section(state: Mapping[str, Any], rows: ReportRows) -> str:
    """Return what steps measured of the answers, and what they say of it, such as how far judges agree."""
    kept, rejected = divided(rows.answers)
    found = [Distribution(name, "", kept[name], rejected[name]) for name in rows.measured]
    notes = {
        line["step"]: line["note"]
        for line in state.get("funnel", [])
        if line["note"] and any(name.startswith(f"{line['step']}_") for name in rows.measured)
    }
    told = "".join(f"<dt>{for_html(step)}</dt><dd>{for_html(note)}</dd>" for step, note in notes.items())
    return section(
        "scores", "What the steps measured", *_cards(found), f'<dl class="facts">{told}</dl>' if told else ""
    )


def _cards(found: Sequence[Distribution]) -> list[str]:
    """Return a card for each distribution that has values, below a legend where two colours are in them."""
    shown = [one for one in found if one.values.len()]
    if not shown:
        return []
    cards = []
    for one in shown:
        told, drawn = (share_sentence(one), shares(one)) if one.boolean else (one.sentence(), histogram(one))
        cards.append(f'<div class="card"><h3>{for_html(one.name)}</h3>{drawn}<p>{for_html(told)}</p></div>')
    both = any(one.rejected.count() and not one.boolean for one in shown)
    legend = "".join(f'<span class="{kind}">{kind}</span>' for kind in (KEPT, REJECTED))
    return [f'<p class="legend">{legend}</p>' * both, f'<div class="cards">{"".join(cards)}</div>']
