"""A student on the devices: what a training returns, and what its folder is loaded into again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flax import nnx
from jax.sharding import Mesh

from tunixhack.errors import UserError
from tunixhack.notebook_html import facts
from tunixhack.progress import Reporter
from tunixhack.safe_text import for_terminal
from tunixhack.train import record
from tunixhack.train.chat import Message, Renderer
from tunixhack.train.settings import Settings
from tunixhack.train.students.base import Base

if TYPE_CHECKING:
    from tunixhack.train.compliance import Reply
    from tunixhack.train.export.exported import Exported


@dataclass(eq=False, kw_only=True, repr=False)
class Student:
    """A student, trained or not.

    >>> from tunixhack import train  # doctest: +SKIP
    >>> student = train.Student.load("students/creative")  # doctest: +SKIP
    >>> student.generate("Why is the sky blue?")  # doctest: +SKIP
    """

    base: Base
    """What it was made of."""
    model: nnx.Module
    """Its weights, with adapters for ``lora`` and ``qlora``."""
    mesh: Mesh
    renderer: Renderer
    settings: Settings
    folder: Path | None = None
    """Of its training, where it has one."""
    step: int = 0
    """The updates that its weights have seen."""

    def __repr__(self) -> str:
        """Say in a line what it is, without its weights."""
        of = f", trained in {str(self.folder)!r}" if self.folder else ""
        return for_terminal(f"Student({self.base.name}, {self.settings.method}{of})")

    def _repr_html_(self) -> str:
        """Be what it is of in a notebook, all of it escaped."""
        told = {"base": self.base.name, "parameters": f"{self.base.parameters:,}", "method": self.settings.method}
        return facts("student", told | {"trained in": self.folder, "format": self.settings.format})

    def generate(self, question: str | Sequence[Message], **options: Any) -> str:
        """Ask one question, a text or turns; `tunixhack.train.generate.generate` asks many at once, with its options.

        Returns:
            The reply, trace and answer with their tags.
        """
        return self.generate_all([question], **options)[0].text

    def generate_all(self, questions: Sequence[str | Sequence[Message]], **options: Any) -> list[Reply]:
        """Ask many questions; see `tunixhack.train.generate.generate`."""
        from tunixhack.train.generate import generate

        return generate(self, questions, **options)

    def export(
        self, out: str | Path, formats: Iterable[str] = ("safetensors", "orbax", "gguf"), **options: Any
    ) -> Exported:
        """Write the student for others; see `tunixhack.train.export.export.export`, which has the options."""
        from tunixhack.train.export.export import export

        return export(self, Path(out), tuple(formats), **options)

    @classmethod
    def load(cls, folder: str | Path, *, accept_terms: bool = False, report: Reporter | None = None) -> Student:
        """Load a trained student from the newest checkpoint of its training that is whole.

        Args:
            folder: what ``out`` was.
            accept_terms: see `tunixhack.train.students.find.find`.
            report: is told of newer checkpoints that are damaged.

        Raises:
            UserError: it is no such folder, has no checkpoint yet or none that is whole, or what it was made of is gone
                or another.
        """
        import jax

        from tunixhack.train import checkpoints
        from tunixhack.train.compiled import keep_compiled
        from tunixhack.train.mesh import device_mesh
        from tunixhack.train.students.find import find

        keep_compiled()
        folder = Path(folder)
        kept = record.read(folder)
        settings = kept.settings
        found = checkpoints.newest(folder, kept.scratch, checkpoints.weights_problem)
        if found.place is None:
            raise UserError(
                f"{folder} has no checkpoint that is whole: {'; '.join(found.told)}. Give an undamaged copy back"
                if found.skipped
                else f"{folder} has no checkpoint yet: let its training go on until the first is saved"
            )
        for sentence in found.told:
            (report or Reporter()).warn(sentence)
        base = find(kept.base.name, accept_terms=accept_terms)
        if base.fingerprint != kept.base.fingerprint:
            raise UserError(f"{base.name} is no longer the student that {folder} was trained from: give it back")
        student = cls.prepare(base, settings, device_mesh(jax.device_count()))
        checkpoints.restore(found.place, student.model, settings)
        student.step = int(found.place.name)
        student.folder = folder
        return student

    @classmethod
    def prepare(cls, base: Base, settings: Settings, mesh: Mesh) -> Student:
        """Load what a training begins with: fp32 masters for ``full``, else frozen weights and fresh adapters."""
        import jax.numpy as jnp

        from tunixhack.train.mesh import with_lora

        dtype = jnp.float32 if settings.method == "full" else jnp.dtype(settings.compute)
        model = base.load(mesh, dtype)
        if settings.method != "full":
            model = with_lora(
                model,
                mesh,
                rank=settings.lora_rank,
                alpha=settings.lora_alpha,
                seed=settings.seed,
                modules=base.family.lora_modules,
                quantised=settings.method == "qlora",
            )
        renderer = base.renderer(settings.format, settings.system)
        return cls(base=base, model=model, mesh=mesh, renderer=renderer, settings=settings)
