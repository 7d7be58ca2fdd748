"""The steps of a recipe, one a file, and the contract that they keep (`tunixhack.steps.base`)."""

from tunixhack.steps.base import Context, Made, Verdict

__all__ = ["Context", "Made", "Verdict"]
