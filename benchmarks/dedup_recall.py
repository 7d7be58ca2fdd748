"""Exact and fuzzy dedup: which copies of a question they find, by what was done to the copy and by its length.

Synthetic questions of Zipf words with two numbers each, of 5 to 12, 13 to 40 and 41 to 120 words, each with one copy:

* ``verbatim``: the same text
* ``wrapped``: with an instruction of `exact_dedup.DEFAULT_WRAPPERS` before or behind it, in other case and spacing
* ``edited``: a letter replaced, where the two are still similar by 95 or more; for fuzzy dedup alone
* ``numbers``: with other numbers, which are other questions: to be kept

The peers are OpenThoughts' definitions (arXiv 2506.04178): equal raw strings, and a ``rapidfuzz.fuzz.ratio`` of the raw
strings of 95 or more.

Prints ``exact_dedup_recall_KIND_LENGTH`` and ``fuzzy_dedup_recall_KIND_LENGTH``, the share of copies that are in one
group with their question, and the peer's; of ``numbers`` the share that is kept, as ``…_kept_numbers_LENGTH``; and
``…_false_alarms``, the share of questions without a copy that are dropped.

    python benchmarks/dedup_recall.py [--of-each 2000]
"""

from __future__ import annotations

import argparse
import string

import polars as pl
from decontaminate_vs_openthoughts import LENGTHS, Maker
from rapidfuzz import fuzz

from tunixhack import ExactDedup, FuzzyDedup
from tunixhack.steps.base import Context
from tunixhack.steps.exact_dedup import DEFAULT_WRAPPERS

KINDS = ("verbatim", "wrapped", "edited", "numbers")
THRESHOLD = 95.0


def copy_of(question: str, kind: str, make: Maker) -> str:
    """Make the copy of a question."""
    if kind == "wrapped":
        wrapper = make.draw.choice(DEFAULT_WRAPPERS)
        parts = [question.upper(), wrapper] if make.draw.random() < 0.5 else [wrapper, question.upper()]
        return "\n\n".join(parts)
    if kind == "numbers":
        return make.planted(question, "numbers")
    if kind == "edited":
        places = [at for at, letter in enumerate(question) if letter.isalpha()]
        at = make.draw.choice(places)
        return question[:at] + make.draw.choice(string.ascii_lowercase) + question[at + 1 :]
    return question


def found(questions: list[str], copies: list[str], step: ExactDedup | FuzzyDedup) -> list[bool]:
    """Tell of each pair whether one of the two is dropped for the other."""
    count = len(questions)
    ids = [f"{at:08x}" for at in range(2 * count)]
    rows = pl.DataFrame({"question_id": ids, "question": questions + copies})
    rows = rows.with_columns(context=pl.lit(None, pl.String))
    keep = step(rows, Context()).keep
    return [not (keep[at] and keep[count + at]) for at in range(count)]


def main() -> None:
    """Print the table of both steps and their peers."""
    options = argparse.ArgumentParser(description="Recall of exact and fuzzy dedup by kind and length.")
    options.add_argument("--of-each", type=int, default=2000)
    many = options.parse_args().of_each
    make = Maker(1)
    peers = {
        "exact": (ExactDedup(), lambda one, other: one == other),
        "fuzzy": (FuzzyDedup(threshold=THRESHOLD), lambda one, other: fuzz.ratio(one, other) >= THRESHOLD),
    }
    for name, (step, peer) in peers.items():
        for kind in KINDS if name == "fuzzy" else [kind for kind in KINDS if kind != "edited"]:
            for length in LENGTHS:
                pairs = [
                    (question, copy_of(question, kind, make))
                    for question in (make.question(length) for _ in range(many))
                ]
                pairs = [pair for pair in pairs if kind == "verbatim" or pair[0] != pair[1]]
                if kind == "edited":
                    pairs = [pair for pair in pairs if fuzz.ratio(*pair) >= THRESHOLD]
                if not pairs:
                    continue
                ours = found(*map(list, zip(*pairs, strict=True)), step)  # type: ignore[arg-type]
                theirs = sum(peer(*pair) for pair in pairs) / len(pairs)
                share = sum(ours) / len(ours)
                word = "kept" if kind == "numbers" else "recall"
                mine, other = (1 - share, 1 - theirs) if kind == "numbers" else (share, theirs)
                print(
                    f"{name}_dedup_{word}_{kind}_{length}: {mine:.4f} (theirs {other:.4f}, of {len(pairs)})", flush=True
                )
        clean = pl.DataFrame({"question": [make.question(length) for length in LENGTHS for _ in range(many)]}).unique()
        ids = pl.Series("question_id", [f"{at:08x}" for at in range(clean.height)])
        rows = clean.with_columns(ids, context=pl.lit(None, pl.String))
        dropped = 1 - step(rows, Context()).keep.mean()
        print(f"{name}_dedup_false_alarms: {dropped:.5f} of {rows.height}", flush=True)


if __name__ == "__main__":
    main()
