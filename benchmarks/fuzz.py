"""Thousands of odd replies: does every build end as it should, with every answer kept, rejected or missing?

A server damages its replies in up to three places, drawn from the seed; see tests/odd_replies.py. Builds of a hundred
questions are asked for one, two or four answers each, twice over, so that what the first start stored is read again.
Then the preflight's replies and the lists of models are damaged, in a build each.

A build ends as it should if it raises nothing but a sentence for the user, with exit code 0, 2, 3 or 4, within
`PATIENCE` seconds, and its tables hold what its funnel says. Prints ``fuzz_completions: N of N`` and
``fuzz_preflights: N of N``, the odd replies of builds that did, and of every other build its seed. Ends with 1 where
there is one.

    python benchmarks/fuzz.py [--completions 3000] [--preflights 200] [--seed 0]
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the replies are those of the tests

from tests.fuzzing import fuzz

QUESTIONS = 100
SAMPLES = (1, 4, 2)
ODD = 0.95
"""Of the replies; the others keep the teacher from being given up."""
PATIENCE = 600.0
"""Seconds after which a build hangs, and everything ends with where it stands."""


class Bench:
    """Builds, and what became of their replies."""

    def __init__(self) -> None:
        self.codes: Counter[int] = Counter()
        self.bad: list[int] = []

    def run(self, seed: int, *, questions: int, samples: int, **shares: float) -> tuple[int, int]:
        """Build once; returns the odd replies that were sent, and those of them that ended well."""
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        try:
            with tempfile.TemporaryDirectory() as folder:
                done = fuzz(seed, Path(folder), questions=questions, samples=samples, **shares)
        except BaseException as error:
            if not isinstance(error, Exception):
                raise
            traceback.print_exc()
            self.bad.append(seed)
            return questions, 0
        finally:
            faulthandler.cancel_dump_traceback_later()
        self.codes.update(done.codes)
        return done.odd, done.odd


def main() -> None:
    """Send them, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, usual in (("completions", 3000), ("preflights", 200), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    wanted, bench = parser.parse_args(), Bench()

    sent = well = 0
    seed = 1_000_000 * wanted.seed
    while sent < wanted.completions:
        asked, fine = bench.run(seed, questions=QUESTIONS, samples=SAMPLES[seed % len(SAMPLES)], chat=ODD)
        sent, well, seed = sent + asked, well + fine, seed + 1
    print(f"fuzz_completions: {well:,} of {sent:,}")

    fine = 0
    for number in range(wanted.preflights):
        share = {"models" if number % 2 else "preflight": 1.0}
        fine += bench.run(seed + number, questions=2, samples=2, chat=0.0, **share)[1] > 0
    print(f"fuzz_preflights: {fine:,} of {wanted.preflights:,}")

    print(f"exit codes: {dict(sorted(bench.codes.items()))}")
    if bench.bad:
        print(f"seeds of builds that did not end well: {bench.bad}")
        sys.exit(1)


if __name__ == "__main__":
    main()
