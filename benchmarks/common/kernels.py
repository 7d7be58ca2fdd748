"""How many kernels a GPU is sent for a program that XLA has compiled for it."""

from __future__ import annotations

import re
from collections.abc import Iterator

KERNELS = {"fusion", "custom-call", "copy", "sort", "scatter", "dot", "reduce"}
"""The operations that are one each, in a program that is optimised: all others are part of a fusion, or no work."""


def count_kernels(text: str) -> int:
    """Count the kernels of one run of a program, those of loops as often as they turn.

    Args:
        text: of the compiled program, as ``compiled.as_text()`` gives it. Of a choice, the branch with most is counted.

    Raises:
        ValueError: a loop does not tell how often it turns.
    """
    programs = dict(_computations(re.sub(r"/\*.*?\*/", "", text)))
    (entry,) = re.findall(r"^ENTRY %?([\w.\-]+)", text, re.MULTILINE)

    def count(name: str) -> int:
        total = 0
        for operation, line in programs[name]:
            if operation == "while":
                turns = re.search(r'"known_trip_count":\{"n":"(\d+)"', line)
                if turns is None:
                    raise ValueError(f"a loop does not tell how often it turns: {line[:120]}")
                total += int(turns[1]) * count(_named(line, "body"))
            elif operation == "conditional":
                total += max(count(branch) for branch in _branches(line))
            elif operation == "call":
                total += count(_named(line, "to_apply"))
            else:
                total += operation in KERNELS
        return total

    return count(entry)


def _computations(text: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the name of each computation, and its operations with their lines."""
    name, found = "", list[tuple[str, str]]()
    for line in text.splitlines():
        if begin := re.match(r"(?:ENTRY )?%?([\w.\-]+) \(.*\{$", line):
            name, found = begin[1], []
        elif line.startswith("}"):
            yield name, found
        elif operation := re.search(r" = (?:\([^=]*?\)|\S+) ([\w\-]+)\(", line):
            found.append((operation[1], line))


def _named(line: str, what: str) -> str:
    (name,) = re.findall(rf"{what}=%?([\w.\-]+)", line)
    return str(name)


def _branches(line: str) -> list[str]:
    several = re.search(r"branch_computations=\{([^}]*)\}", line)
    if several:
        return [name.strip().lstrip("%") for name in several[1].split(",")]
    return [_named(line, "true_computation"), _named(line, "false_computation")]
