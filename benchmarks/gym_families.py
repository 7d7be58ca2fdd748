"""Try every family of reasoning-gym at every difficulty, and write the table of those that can be trusted.

    python benchmarks/gym_families.py > tunixhack/sources/gym_families.json

A family is in the table at a difficulty where, in each of two processes with other hash seeds, all of 25 items (20 of
training and 5 of test) are made within 20 ms each, have a text as answer that its own verifier gives 1, and are the
same; and no nonsense gets 1. Left out by hand are those that `LEFT_OUT` names.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import time

from tunixhack.sources.gym import TEST
from tunixhack.verifiers.gym_family import DIFFICULTIES, item, score, version

LEFT_OUT = {
    **dict.fromkeys(
        ("binary_matrix", "codeio", "n_queens", "number_sorting", "spiral_matrix", "string_insertion"),
        "evaluates an answer or a reference as Python",
    ),
    **dict.fromkeys(
        (
            "countdown",
            "intermediate_integration",
            "polynomial_multiplication",
            "puzzle24",
            "simple_integration",
        ),
        "hands an answer to sympy's parser, which evaluates it",
    ),
    "list_functions": "draws from Python's global random numbers",
    "pool_matrix": "seeds NumPy's global random numbers",
    "time_intervals": "asks for today's date",
    "composite": "is made of others",
}
NONSENSE = [
    "",
    "no idea at all 7",
    "0",
    "[]",
    "I do not know.",
    "None",
    "yes",
    "{}",
    "()",
    "not clear\n\n42",
    "A",
    "1 2 3",
]
SLOWEST = 0.02
SECONDS = 8
MEMORY = 3 * 2**30


def try_one(family: str, difficulty: str) -> str:
    """Return a hash of the items of a family that can be trusted; raise for any other."""
    item(family, difficulty, 0)  # what is read once counts for no item
    start = time.process_time()
    made = [item(family, difficulty, number) for number in (*range(20), *range(TEST, TEST + 5))]
    if time.process_time() - start > SLOWEST * len(made):
        raise ValueError("slow")
    for one in made:
        if not isinstance(one["answer"], str) or not isinstance(one["question"], str) or not one["question"].strip():
            raise ValueError("no text")
        if score(family, difficulty, one["answer"].strip(), one) < 1:
            raise ValueError("own answer")
        if any(score(family, difficulty, text, one) >= 1 for text in NONSENSE if text != one["answer"]):
            raise ValueError("nonsense")
    return hashlib.sha256(json.dumps([[one["question"], one["answer"]] for one in made]).encode()).hexdigest()


def try_all() -> None:
    """Print a JSON line for each family and difficulty, each tried in a fork with limits of its own."""
    from reasoning_gym.factory import CURRICULA, DATASETS

    for family in sorted(set(DATASETS) - set(LEFT_OUT)):
        for difficulty in DIFFICULTIES if family in CURRICULA else DIFFICULTIES[:1]:
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
                used = int(time.process_time())
                resource.setrlimit(resource.RLIMIT_CPU, (used + SECONDS, used + SECONDS))
                try:
                    told = {"hash": try_one(family, difficulty)}
                except BaseException as error:  # noqa: BLE001  # whatever it is, the family is left out
                    told = {"why": f"{type(error).__name__}: {error}"[:200]}
                os.write(writer, json.dumps(told).encode())
                os._exit(0)
            os.close(writer)
            with open(reader, "rb") as pipe:
                told = json.loads(pipe.read() or b'{"why": "ended by its limits"}')
            os.waitpid(child, 0)
            print(json.dumps({"family": family, "difficulty": difficulty} | told), flush=True)


def main() -> None:
    if sys.argv[1:]:
        try_all()
        return
    children = [
        subprocess.Popen(
            [sys.executable, __file__, "try"],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    told = [[json.loads(line) for line in child.communicate()[0].splitlines()] for child in children]
    table: dict[str, list[str]] = {}
    for one, other in zip(*told, strict=True):
        if "hash" in one and one == other:
            table.setdefault(one["family"], []).append(one["difficulty"])
        else:
            why = one.get("why") or other.get("why") or "not the same in two processes"
            print(f"{one['family']} {one['difficulty']}: {why}", file=sys.stderr)
    lines = ",\n".join(f"  {json.dumps(family)}: {json.dumps(passed)}" for family, passed in table.items())
    print(f'{{\n "reasoning_gym": "{version()}",\n "families": {{\n{lines}\n }}\n}}')


if __name__ == "__main__":
    main()
