"""The look of a command's help: options in groups, examples below them, and flags without a type."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from tunixhack import recipes

QUESTIONS, TEACHER, ANSWERS, SPENDING, FOLDER = (
    "Which questions", "Which teacher, and how it is asked", "Which answers are kept", "What may be spent", "The run",
)  # fmt: skip
"""Groups of the options of ``build``, in the order of the work."""


class _FlagsWithoutType:
    """Shows flags without ``<bool>``, which says nothing that their names do not."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, none of whose flags has a type to show."""
        params = super().get_params(ctx)  # type: ignore[misc]  # typer's classes, beside which this stands, have it
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""
        return params


class Verb(_FlagsWithoutType, TyperCommand):
    """A command."""


class Group(_FlagsWithoutType, TyperGroup):
    """The commands together, or a part of them under a name."""


def examples(*lines: str, domains: bool = False) -> str:
    """Write the end of a command's help.

    Args:
        lines: commands, as the user would type them.
        domains: name the package's domains as well.
    """
    lines_of_all = ["Examples:", *(f"  {line}" for line in lines)]
    if domains:
        lines_of_all.append(f"Domains: {', '.join(recipes.domains())}")
        lines_of_all.append(f"Named datasets: {', '.join(recipes.named_datasets())}")
    return "\n\n".join(lines_of_all)  # an empty line between, since the help joins lines into paragraphs
