"""Seconds that an import costs: ours alone, and a domain beside the Curator import that it contains.

Every figure is a median over fresh processes, which take turns so that a busy moment hits all alike. An interpreter
that imports nothing is measured too and subtracted.

    import_seconds            seconds of ``import tunixhack`` (goal: < 0.3)
    import_train_seconds      seconds of ``from tunixhack import train``, whose names load jax when they are used
    import_cli_seconds        seconds until the command line reads its arguments
    import_domain_vs_curator  seconds of importing a domain over those of ``import bespokelabs.curator`` itself
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 7
STATEMENTS = {
    "nothing": "pass",
    "tunixhack": "import tunixhack",
    "train": "from tunixhack import train",
    "cli": "import tunixhack.cli.main",
    "curator": "import bespokelabs.curator",
    "domain": "from tunixhack.recipes import creative",
}
ENVIRONMENT = os.environ | {"TELEMETRY_ENABLED": "false", "PYTHONPATH": str(Path(__file__).parents[1])}


def seconds(statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    for statement in STATEMENTS.values():  # one round unmeasured: byte code and disk cache
        seconds(statement)
    rounds = [{name: seconds(statement) for name, statement in STATEMENTS.items()} for _ in range(ROUNDS)]
    cost = {name: statistics.median(r[name] - r["nothing"] for r in rounds) for name in STATEMENTS}
    ratio = statistics.median((r["domain"] - r["nothing"]) / (r["curator"] - r["nothing"]) for r in rounds)
    print(f"import_seconds: {cost['tunixhack']:.3f}")
    print(f"import_train_seconds: {cost['train']:.3f}")
    print(f"import_cli_seconds: {cost['cli']:.3f}")
    print(f"import_domain_seconds: {cost['domain']:.2f}")
    print(f"import_curator_seconds: {cost['curator']:.2f}")
    print(f"import_domain_vs_curator: {ratio:.2f}")


if __name__ == "__main__":
    main()
