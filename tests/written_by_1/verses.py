"""Verses: a domain file with a step of its own that makes questions, a check, and a judge of each answer."""

import polars as pl

from tunixhack import (
    Made,
    MaxLength,
    Parse,
    ReasoningLLM,
    Recipe,
    Request,
    Sample,
    Source,
    Verdict,
    Verify,
)


class Verses(ReasoningLLM):
    system = "You answer in verse."


def in_rhyme(rows, ctx) -> Made:
    made = rows.with_columns(pl.col("question") + " Let it rhyme.")
    return Made(rows=made, parents=[[name] for name in rows["question_id"]])


def even(row) -> bool | None:
    return int(row["answer"].rsplit(" ", 1)[1].rstrip(".")) % 3 != 0


def judge(rows, ctx):
    asked = [
        Request(
            row=row,
            messages=[{"role": "user", "content": f"Grade this: {row['answer']}"}],
            samples=[0],
            sampling={"temperature": 0.0},
            max_tokens=64,
        )
        for row in rows.iter_rows(named=True)
    ]
    graded = ctx.ask(asked)
    return Verdict(keep=pl.Series([number in set(graded["request"]) for number in range(rows.height)]))


recipe = Recipe(
    domain="verses",
    source=Source("verses.jsonl", columns={"question": "line"}),
    llm=Verses,
    samples=3,
    steps=(in_rhyme, Sample(), Parse(), Verify(even), MaxLength(), judge),
)
build = recipe.build
