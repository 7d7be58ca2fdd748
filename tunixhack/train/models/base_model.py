"""A student before it is trained: a folder of weights whose header was read, and what to make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flax import nnx
from jax.sharding import Mesh

from tunixhack._util.literal_path import literal_path
from tunixhack.train.data.chat import Format, Renderer
from tunixhack.train.models import gemma3, llama, qwen
from tunixhack.train.models.family import Family
from tunixhack.train.models.tokenizer import StudentTokenizer

FAMILIES: tuple[Family, ...] = (gemma3.FAMILY, llama.FAMILY, qwen.FAMILY)
"""All that can be trained."""


@dataclass(frozen=True, kw_only=True)
class Base:
    """A student's folder, checked without loading its weights."""

    name: str
    """As the user named it: a folder, a Hub id, …"""
    folder: Path
    """A Hugging Face folder: config.json, tokenizer.json, one or several safetensors files."""
    family: Family
    config: Any
    """Tunix's ModelConfig."""
    description: Mapping[str, Any]
    """Its config.json."""
    tokenizer: StudentTokenizer
    fingerprint: str
    """64 hex digits of config.json, tokenizer.json, and each tensor's name, type, shape and first 4 kB: what tells
    students from one another without reading all of their weights."""
    parameters: int
    """Numbers in its weights, each tensor once."""
    context: int
    """Tokens of the longest sequence that it takes."""

    def load(self, mesh: Mesh | None, dtype: Any) -> nnx.Module:
        """Read the weights onto a mesh (None: the first device), in a dtype of jax."""
        with literal_path(self.folder) as folder:
            return self.family.load(folder, self.config, mesh, dtype)

    def renderer(self, format: Format, system: str | None) -> Renderer:
        """Return what writes conversations for it, and reads its replies."""
        return Renderer(self.family.chat, self.tokenizer, format, system)

    def with_remat(self) -> Base:
        """Return this base such that the backward pass computes each layer again instead of keeping it."""
        whole_layers = type(self.config.remat_config).DECODER
        return replace(self, config=replace(self.config, remat_config=whole_layers))
