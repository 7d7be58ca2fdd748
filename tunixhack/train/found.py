"""A student as found on the disk, trained or not: what tells it from others, and its weights when they are used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp

from tunixhack._util.ids import digest
from tunixhack.train import record
from tunixhack.train.core import checkpoints
from tunixhack.train.core.compilation_cache import enable_compilation_cache
from tunixhack.train.core.mesh import device_mesh
from tunixhack.train.data.chat import Renderer
from tunixhack.train.inference.ready import compute_dtype
from tunixhack.train.models.base_model import Base
from tunixhack.train.models.load import find
from tunixhack.train.settings import Settings, settings
from tunixhack.train.student import Student
from tunixhack.train.trained import TrainedStudent, find_trained


class FoundStudent:
    """A student or a base; its weights are loaded when they are first used."""

    asked_as: tuple[str, ...] = ()
    """What else tells it from the same weights that are asked in another way."""

    def __init__(self, base: Base, settings: Settings, trained: TrainedStudent | None) -> None:
        """Take what was found on the disk."""
        self.base, self.settings, self.trained = base, settings, trained

    @classmethod
    def of_training(cls, folder: Path, *, accept_terms: bool, warn: Callable[[str], None]) -> Self:
        """Find a trained student.

        Raises:
            UserError: see `tunixhack.train.trained.find_trained`.
        """
        trained = find_trained(folder, accept_terms=accept_terms)
        for sentence in trained.messages:
            warn(sentence)
        return cls(trained.base, trained.settings, trained)

    @classmethod
    def of_base(cls, model: str, *, accept_terms: bool, say: Callable[[str], None]) -> Self:
        """Find a student that was not trained here, with the settings that a training begins with.

        Raises:
            UserError: see `tunixhack.train.models.load.find`.
        """
        usual = settings(compute="float32" if jax.default_backend() == "cpu" else "bfloat16")
        return cls(find(model, accept_terms=accept_terms, say=say), usual, None)

    @classmethod
    def named(
        cls, model: str | Path, *, accept_terms: bool = False, say: Callable[[str], None] = lambda sentence: None
    ) -> Self:
        """Find a training's folder, or what ``--model`` of train names.

        Raises:
            UserError: it is neither, or has no intact checkpoint.
        """
        folder = Path(model).expanduser()
        if record.exists(folder):
            return cls.of_training(folder, accept_terms=accept_terms, warn=say)
        return cls.of_base(str(model), accept_terms=accept_terms, say=say)

    @cached_property
    def renderer(self) -> Renderer:
        """The renderer that it was trained with, or is trained with where nothing else is said."""
        return self.base.renderer(self.settings.format, self.settings.system)

    @cached_property
    def identity(self) -> str:
        """64 hex digits of the weights, how conversations become tokens, and the numbers that are computed with."""
        weights = "float32" if self.trained is not None and self.settings.method == "full" else self.settings.compute
        return digest(
            self.base.fingerprint,
            None if self.trained is None else self.trained.checkpoint_digest(),
            self.renderer.describe(),
            [weights, jnp.dtype(compute_dtype(self._mesh)).name],
            *self.asked_as,
        )

    @cached_property
    def student(self) -> Student:
        """The student on all devices; a base has no adapters."""
        enable_compilation_cache()
        if self.trained is None:
            # full: no adapters are put on weights that were not trained
            given = replace(self.settings, method="full")
            model = self.base.load(self._mesh, jnp.dtype(self.settings.compute))
            return Student(base=self.base, model=model, mesh=self._mesh, renderer=self.renderer, settings=given)
        student = Student.prepare(self.base, self.settings, self._mesh)
        checkpoints.restore(self.trained.checkpoint, student.model, self.settings)
        return student

    @cached_property
    def _mesh(self) -> Any:
        return device_mesh(jax.device_count())
