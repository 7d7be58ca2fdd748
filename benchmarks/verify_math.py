"""How fast and how alike the readers of mathematical answers are, on gsm8k's own references and solutions.

Each reference stands in a sentence, as a student would end a reply with it, and must be right; one more than it must
be wrong. Then each worked solution, whose last line is a sum and whose result is its last number, is read by
math-verify and by the plain reader of numbers.

Prints:

    verify_math_per_second   answers a second, child process of math-verify included; and without it
    verify_math_agreement    share of rows whose reference is right, and whose reference plus one is wrong (goal: 1.0)
    verify_math_solutions    share of worked solutions that are right by math-verify, by the plain reader, and by both
    verify_math_disputed     solutions of which the readers say the contrary, by the kind of writing; --show prints them

    python benchmarks/verify_math.py [--source FILE] [--rows 2000] [--show 20]

``--source`` is a file with gsm8k's columns, where the Hub cannot be reached.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from tunixhack.errors import UserError
from tunixhack.evaluate.scores import scorer_of
from tunixhack.recipes import math
from tunixhack.sources.worked_solutions import worked
from tunixhack.verifiers.reference_match import Judgement, Pair, judge_answers, right

KINDS = {
    "a fraction or ratio": r"\d\s*/\s*\d",
    "a percentage": r"%",
    "a time of day": r"\d:\d\d",
    "a space between digits": r"\d \d{3}\b",
    "an equation": r"=",
    "an amount of money": r"\$",
}
"""How a claim is written, the first that fits."""


def kind(text: str) -> str:
    return next((name for name, pattern in KINDS.items() if re.search(pattern, text)), "other")


def more(reference: str) -> str:
    return str(Decimal(reference) + 1)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", help="a file with gsm8k's columns")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N disputed solutions")
    asked = parser.parse_args(arguments)
    source = math.recipe.source if asked.source is None else math.recipe.source.override(asked.source)
    try:
        rows = list(source.load("math").rows.head(asked.rows).iter_rows(named=True))
    except UserError as error:
        print(f"verify_math: not run, since its rows are not here ({error})")
        return 0

    scorer = scorer_of(math.recipe)
    began = time.perf_counter()
    said = scorer.score([row | {"answer": f"So the answer is {row['reference']}."} for row in rows])
    seconds = time.perf_counter() - began
    wrong = scorer.score([row | {"answer": f"So the answer is {more(row['reference'])}."} for row in rows])
    good = sum(one.right == 1 and other.right == 0 for one, other in zip(said, wrong, strict=True))
    began = time.perf_counter()
    for row in rows:
        check = right(row["reference"])
        assert check is not None
        check(f"So the answer is {row['reference']}.")
    plain_seconds = time.perf_counter() - began
    print(f"verify_math_per_second: {len(rows) / seconds:,.0f}   ({scorer.name}; the plain reader alone "
          f"{len(rows) / plain_seconds:,.0f})")  # fmt: skip
    print(f"verify_math_agreement: {good / len(rows):.4f}   ({good:,} of {len(rows):,} rows)", flush=True)
    for row, one in zip(rows, said, strict=True):
        if one.right != 1:
            print(f"  reference {row['reference']!r}: {one}")

    solutions = [worked(row)[0] for row in rows]
    judged = judge_answers(
        Pair(row["reference"], text, row["question"]) for row, text in zip(rows, solutions, strict=True)
    )
    report(rows, solutions, judged, asked.show)
    return 0 if good == len(rows) else 1


def report(
    rows: Sequence[dict[str, str]], solutions: Sequence[str], judged: Sequence[Judgement | None], show: int
) -> None:
    """Print how many solutions each reader takes for right, and those that only one does."""
    agree, disputed = Counter[str](), Counter[str]()
    for row, text, told in zip(rows, solutions, judged, strict=True):
        math_verify, plain = (None, None) if told is None else (told.math_verify, told.plain)
        agree.update({"math": math_verify is True, "plain": plain is True, "both": bool(math_verify and plain)})
        last = text.rstrip().rpartition("\n")[2]
        if math_verify == plain:
            continue
        disputed[f"{kind(last)}: only {'math-verify' if math_verify else 'the plain reader'} agrees"] += 1
        if show > 0:
            show -= 1
            print(f"  reference {row['reference']}, math-verify {math_verify}, plain {plain}: {last!r}")
    by_math, by_plain, by_both = (agree[name] / len(rows) for name in ("math", "plain", "both"))
    shares = f"{by_math:.4f} by math-verify, {by_plain:.4f} by the plain reader, {by_both:.4f} by both"
    print(f"verify_math_solutions: {shares}")
    kinds = "; ".join(f"{number} × {name}" for name, number in disputed.most_common())
    print(f"verify_math_disputed: {disputed.total()}   ({kinds})")


if __name__ == "__main__":
    sys.exit(main())
