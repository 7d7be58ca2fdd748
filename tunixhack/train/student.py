"""A student on the devices, as data: its weights, and what it takes to use them. Its verbs are in the handle."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh

from tunixhack._util.notebook_html import facts
from tunixhack._util.safe_text import for_terminal
from tunixhack.train.attention.base import Attend
from tunixhack.train.attention.choose import plain
from tunixhack.train.attention.chunked import Chunked
from tunixhack.train.core.mesh import with_lora
from tunixhack.train.core.placement import loading_mesh, spread
from tunixhack.train.core.process_group import ProcessGroup
from tunixhack.train.data.chat import Renderer
from tunixhack.train.models.base_model import Base
from tunixhack.train.settings import Settings


@dataclass(eq=False, kw_only=True, repr=False)
class Student:
    """A student, trained or not."""

    base: Base
    """What it was made of."""
    model: nnx.Module
    """Its weights, with adapters for ``lora`` and ``qlora``."""
    mesh: Mesh
    renderer: Renderer
    settings: Settings
    attend: Attend = field(default_factory=Chunked)
    """How its attention is computed where whole rows are, as in training."""
    folder: Path | None = None
    """Of its training, where it has one."""
    step: int = 0
    """The updates that its weights have seen."""
    group: ProcessGroup | None = None
    """The processes that trained it together, where this is one of several."""

    def __repr__(self) -> str:
        """Say in a line what it is, without its weights."""
        of = f", trained in {str(self.folder)!r}" if self.folder else ""
        return for_terminal(f"Student({self.base.name}, {self.settings.method}{of})")

    def _repr_html_(self) -> str:
        """Return HTML that shows in a notebook what it was made of, all of it escaped."""
        shown = {"base": self.base.name, "parameters": f"{self.base.parameters:,}", "method": self.settings.method}
        return facts("student", shown | {"trained in": self.folder, "format": self.settings.format})

    @classmethod
    def prepare(cls, base: Base, settings: Settings, mesh: Mesh, attend: Attend | None = None) -> Self:
        """Load what a training begins with: fp32 masters for ``full``, else frozen weights and fresh adapters.

        Attention is computed in blocks unless another is given.
        """
        dtype = jnp.float32 if settings.method == "full" else jnp.dtype(settings.compute)
        model = spread(base.load(loading_mesh(mesh), dtype), mesh)
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
        attend = plain(mesh) if attend is None else attend
        return cls(base=base, model=model, mesh=mesh, renderer=renderer, settings=settings, attend=attend)
