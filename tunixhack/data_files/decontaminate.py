"""Questions of benchmarks in a file."""

from __future__ import annotations

from pathlib import Path

from tunixhack._util.cache import cache_dir
from tunixhack._util.progress import Reporter
from tunixhack.data_files.filtering import Filtered, Outputs, Questions, write_both
from tunixhack.data_files.reading import RowFile
from tunixhack.errors import UserError


def decontaminate_file(
    path: Path, against: str, *, out: Path | None = None, column: str | None = None, report: Reporter
) -> Filtered:
    """Leave out the rows whose question a benchmark has, by the rules of `tunixhack.steps.decontaminate`.

    Args:
        path: the file, of a kind that `tunixhack.data_files.reading` reads.
        against: benchmarks with commas between, as `tunixhack.steps.against.read_against` reads them; a file has no
            default ones.
        out: the file for the rows that are kept; beside the other one if None.
        column: the one with the questions; None to find them by the shape of each row.
        report: where progress goes.

    Returns:
        How many rows went where.

    Raises:
        UserError: a benchmark or the file cannot be read, or a file that would be written is there.
    """
    from tunixhack.steps.against import read_against
    from tunixhack.steps.base import Context
    from tunixhack.steps.benchmarks import KNOWN
    from tunixhack.steps.decontaminate import Comparison, Decontaminate

    if "default" in [part.strip() for part in against.split(",")]:
        raise UserError(f"--against default: a file is of no domain, and has none; name some of {', '.join(KNOWN)}")
    named = read_against(against)
    if not named:
        raise UserError("--against none compares with nothing: name benchmarks")
    found = Filtered(Outputs.beside(path, "decontaminated", out))
    comparison = Comparison.read(
        Decontaminate(named), Context(say=report.say, cache=cache_dir() / "steps" / "decontaminate")
    )
    file = RowFile(path)
    questions, removed = Questions(file, column), {}
    with report.bar(file):
        for batch, texts in questions.batches():
            for number, evidence in zip(batch.numbers, comparison.find([text or "" for text in texts]), strict=True):
                if evidence is not None:
                    removed[number] = ("in_benchmark", evidence)
            report.update()
    found.without_question, found.note = questions.without, comparison.note
    write_both(found, removed, file, report)
    return found
