"""The student that a training returns, and that its folder is loaded as later, with methods to ask and to export it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import jax

from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.train.core import checkpoints
from tunixhack.train.core.compilation_cache import enable_compilation_cache
from tunixhack.train.core.mesh import device_mesh
from tunixhack.train.core.placement import over_processes
from tunixhack.train.data.chat import Message
from tunixhack.train.export.export import export
from tunixhack.train.export.exported import Exported
from tunixhack.train.inference.format_compliance import StudentReply
from tunixhack.train.inference.generate import generate
from tunixhack.train.student import Student
from tunixhack.train.trained import find_trained


class StudentHandle(Student):
    """A student to ask and to export; in `tunixhack.train` it is called ``Student``.

    >>> from tunixhack import train  # doctest: +SKIP
    >>> student = train.Student.load("students/creative")  # doctest: +SKIP
    >>> student.generate("Why is the sky blue?")  # doctest: +SKIP
    """

    @classmethod
    def of(cls, student: Student) -> Self:
        """Return a handle of a student, which has the same weights and no copy of them."""
        return cls(**{one.name: getattr(student, one.name) for one in dataclasses.fields(student)})

    def generate(self, question: str | Sequence[Message], **options: Any) -> str:
        """Ask one question, a text or turns; the options are those of `tunixhack.train.inference.generate.generate`.

        Returns:
            The reply, trace and answer with their tags.
        """
        return self.generate_all([question], **options)[0].text

    def generate_all(self, questions: Sequence[str | Sequence[Message]], **options: Any) -> list[StudentReply]:
        """Ask many questions; see `tunixhack.train.inference.generate.generate`."""
        self._refuse_parts()
        return generate(self, questions, **options)

    def export(
        self, out: str | Path, formats: Iterable[str] = ("safetensors", "orbax", "gguf"), **options: Any
    ) -> Exported:
        """Write the student for others; see `tunixhack.train.export.export.export`, which has the options.

        Of several processes that trained it together the first one writes; the others wait for what it returns.
        """
        self._refuse_parts()
        if self.group is None or self.group.count == 1:
            return export(self, Path(out), tuple(formats), **options)
        name = self.group.numbered("export")
        written = self.group.decide(name, lambda: export(self, Path(out), tuple(formats), **options).as_dict())
        return Exported.from_dict(written)

    def _refuse_parts(self) -> None:
        if over_processes(self.mesh):
            raise UserError(
                "this process has a part of the student's weights alone, since all of them have no room on its "
                "devices: ask and export it from its folder, with `tunixhack generate` and `tunixhack export`"
            )

    @classmethod
    def load(cls, folder: str | Path, *, accept_terms: bool = False, report: Reporter | None = None) -> Self:
        """Load a trained student from the newest intact checkpoint of its training.

        Args:
            folder: what ``out`` was.
            accept_terms: see `tunixhack.train.models.load.find`.
            report: is told of newer checkpoints that are damaged.

        Raises:
            UserError: it is no such folder, has no checkpoint yet or none that is intact, or what it was made of is
                gone or another.
        """
        enable_compilation_cache()
        found = find_trained(Path(folder), accept_terms=accept_terms)
        for sentence in found.messages:
            (report or Reporter()).warn(sentence)
        student = cls.prepare(found.base, found.settings, device_mesh(jax.device_count()))
        checkpoints.restore(found.checkpoint, student.model, found.settings)
        student.step = found.step
        student.folder = found.folder
        return student
