"""10,000 questions with references of reasoning-gym, offline, against a bare loop over its own datasets.

    python benchmarks/gym_questions.py [QUESTIONS] [--verify]

Prints the seconds and the questions a second of `GymSource.load`, and of a loop that makes the very same items and does
nothing else with them; the source also makes those of the other split and leaves them out, tells texts apart and fills
a table. With ``--verify``, every reference goes through its verifier besides.
"""

from __future__ import annotations

import json
import sys
import time

from tunixhack.sources.gym import GymSource, families
from tunixhack.verifiers.gym import right
from tunixhack.verifiers.gym_family import item


def main() -> None:
    numbers = [int(one) for one in sys.argv[1:] if one.isdigit()]
    size = numbers[0] if numbers else 10_000
    start = time.monotonic()
    for family, difficulties in families().items():
        item(family, difficulties[0], 0)
    print(f"import and first items: {time.monotonic() - start:.1f} s")
    start = time.monotonic()
    loaded = GymSource(size=size).load("gym")
    ours = time.monotonic() - start
    places = [json.loads(inputs) for inputs in loaded.rows["inputs"]]
    start = time.monotonic()
    for place in places:
        item(place["family"], place["difficulty"], place["item"])
    bare = time.monotonic() - start
    left = {name: loaded.resolved[name] for name in ("of_other_split", "repeated", "without_answer", "refused_answer")}
    print(f"GymSource: {loaded.rows.height:,} questions in {ours:.1f} s, {loaded.rows.height / ours:,.0f}/s; {left}")
    print(f"bare loop: {bare:.1f} s, {len(places) / bare:,.0f}/s; ratio {ours / bare:.2f}")
    if "--verify" in sys.argv:
        start = time.monotonic()
        told = [right(row | {"answer": row["reference"]}) for row in loaded.rows.iter_rows(named=True)]
        passed, seconds = sum(one is True for one in told), time.monotonic() - start
        print(f"references that pass: {passed:,} of {len(told):,}, {seconds:.1f} s")
        for place in [place for place, one in zip(places, told, strict=True) if one is not True][:5]:
            print(f"not told to be right: {place}")


if __name__ == "__main__":
    main()
