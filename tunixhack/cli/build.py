"""What the options of ``tunixhack build`` change in a recipe, or in a mixture of several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunixhack.errors import UserError
from tunixhack.mixture.mixture import Mixture
from tunixhack.recipe import Recipe
from tunixhack.sources.source import SHIPPED


def changed(
    dataset: Recipe | Mixture, changes: Mapping[str, Any], sampling: Mapping[str, Any], numbers: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Apply the options that were given.

    Args:
        dataset: what is built.
        changes: fields of a recipe; None where an option was not given.
        sampling: parameters of the teacher's sampling, likewise.
        numbers: the options that a recipe alone has, or a mixture alone.

    Returns:
        The recipe or mixture, and the arguments of its `build` that ``numbers`` gives.

    Raises:
        UserError: an option that it has no use for.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    parameters = {name: value for name, value in sampling.items() if value is not None}
    counts = {name: value for name, value in numbers.items() if value is not None}
    if not isinstance(dataset, Mixture):
        if "scale" in counts:
            raise UserError(
                f"--scale multiplies the quotas of a mixture, and {dataset.domain} is none: say --questions"
            )
        return dataset.replace(**given, sampling={**dataset.sampling, **parameters}), counts
    for name in ("accepted", "ceiling", "columns"):
        if name in counts or name in given:
            raise UserError(f"--{name} is for one recipe, and {dataset.name} is a mixture: give --scale for its quotas")
    if given.get("source", SHIPPED) != SHIPPED:
        raise UserError(
            f"--source {given['source']}: the parts of {dataset.name} have sources of their own; --source {SHIPPED} "
            "takes the package's questions for each"
        )
    return dataset.replace(**given, **({"sampling": parameters} if parameters else {})), counts
