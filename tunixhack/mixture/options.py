"""The options of one build of a mixture, and the quotas that they make of its parts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from tunixhack.errors import UserError
from tunixhack.mixture.spec import MixtureSpec, Part
from tunixhack.pipeline.build_command import command_line, listed_benchmarks
from tunixhack.pipeline.options import BuildOptions
from tunixhack.runs.divide import apportion
from tunixhack.teachers.registry.address import public_name


@dataclass(frozen=True, kw_only=True)
class MixtureOptions:
    """The arguments of `tunixhack.mixture.mixture.Mixture.build`."""

    scale: float
    questions: int | None
    rows: int | None
    each: BuildOptions
    """The options of each part's build, but for its quota."""


def scaled(quota: int, scale: float) -> int:
    """Scale a quota: at least 1.

    >>> scaled(4709, 0.002), scaled(374, 0.002)
    (9, 1)
    """
    return max(1, round(quota * scale))


def check(mixture: MixtureSpec, options: MixtureOptions) -> None:
    """Check the numbers of a mixture's build.

    Raises:
        UserError: one of them makes no sense.
    """
    scale: object = options.scale  # of a caller that nobody checks the types of
    if not isinstance(scale, int | float) or isinstance(scale, bool) or not 0 < scale < math.inf:
        raise UserError(f"--scale {scale!r}: it multiplies each quota, and is a number above 0")
    total: dict[str, object] = {"questions": options.questions, "rows": options.rows}
    for name, value in total.items():
        if value is None:
            continue
        if not mixture.has_shares:
            raise UserError(
                f"--{name} {value}: the parts of {mixture.name} have quotas of their own: give --scale instead"
            )
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{name}={value!r} must be a whole number, at least 1")
    if options.questions is not None and options.rows is not None:
        raise UserError("--questions and --rows say the same thing twice: give one of them")
    if mixture.has_shares and options.questions is None and options.rows is None and mixture.rows is None:
        raise UserError(f"the parts of {mixture.name} are shares: say of how many with --questions or --rows")


def quotas(mixture: MixtureSpec, options: MixtureOptions) -> list[int]:
    """Return how many questions each part is to have, or kept rows where its quota is in ``rows``."""
    if not mixture.has_shares:
        return [scaled(part.questions or part.rows or 1, options.scale) for part in mixture.parts]
    each = [samples_of(mixture, part) for part in mixture.parts]
    if options.questions is not None:
        return _shares(scaled(options.questions, options.scale), mixture.parts)
    rows = scaled(options.rows or mixture.rows or 1, options.scale)
    return [-(-one // n) for one, n in zip(_shares(rows, mixture.parts), each, strict=True)]


def samples_of(mixture: MixtureSpec, part: Part) -> int:
    """Return how many answers a part's questions get."""
    return part.recipe.samples if mixture.samples is None else mixture.samples


def _shares(total: int, parts: tuple[Part, ...]) -> list[int]:
    """Divide a number by shares: the largest remainders get what is left, and no part gets nothing."""
    found = apportion(total, [part.share or 0.0 for part in parts])
    return [max(1, one) for one in found]


def command(mixture: MixtureSpec, options: MixtureOptions, out: Path) -> str:
    """Return the command line that goes on with a mixture, with what was changed in all of its recipes."""
    changes = mixture.changes
    sampling = changes.get("sampling", {})
    given = {
        "--source": changes.get("source"),
        "--scale": None if options.scale == 1 else options.scale,
        "--teacher": public_name(options.each.teacher),
        "--questions": options.questions,
        "--rows": options.rows,
        "--samples": mixture.samples,
        "--trace": changes.get("trace"),
        "--against": listed_benchmarks(mixture.against),
        "--student": changes.get("student"),
        "--max-length": changes.get("max_length"),
        "--max-tokens": changes.get("max_tokens"),
        "--temperature": sampling.get("temperature"),
        "--top-p": sampling.get("top_p"),
        "--system": changes.get("system"),
    }
    return command_line(str(mixture.file or mixture.name), given, options.each, out)
