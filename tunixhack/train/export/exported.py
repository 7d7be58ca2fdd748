"""What an export wrote, and what its checks measured; nothing here imports jax."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

Format = Literal["safetensors", "orbax", "gguf"]
"""What a student can be exported as."""

FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(kw_only=True)
class Exported:
    """What an export wrote, and how near it is to the live student."""

    folder: Path
    safetensors: Path | None = None
    """A Hugging Face folder."""
    orbax: Path | None = None
    """What the hackathon calls CKPT_DIR: it has ``actor/<step>/model_params``."""
    gguf: Path | None = None
    """The GGUF file; a Modelfile for Ollama is beside it."""
    measured: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By format, what its check measured."""
    unchecked: dict[str, str] = field(default_factory=dict)
    """By format, why it was not checked."""
