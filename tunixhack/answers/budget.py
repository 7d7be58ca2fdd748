"""The former name of `MaxLength`, for domain files that import it; a budget is a sum of dollars everywhere else."""

from __future__ import annotations

from tunixhack.answers.max_length import MaxLength as Budget

__all__ = ["Budget"]
