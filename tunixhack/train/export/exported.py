"""The result of an export: what it wrote, and what its checks measured; nothing here imports jax."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from tunixhack._util.notebook_html import facts
from tunixhack._util.safe_text import for_terminal

Format = Literal["safetensors", "orbax", "gguf"]
"""What a student can be exported as."""

FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(kw_only=True, repr=False)
class Exported:
    """The files that an export wrote, and how near they are to the live student."""

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

    def __repr__(self) -> str:
        """Say in a line where it is, and in which formats."""
        return for_terminal(f"Exported({str(self.folder)!r}: {', '.join(self._paths()) or 'nothing'})")

    def _repr_html_(self) -> str:
        """Return an HTML table of files and checks for a notebook, all of it escaped."""
        told = {name: f"{path}{self._check(name)}" for name, path in self._paths().items()}
        return facts(f"exported to {self.folder}", told)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        found = asdict(self)
        return {name: str(value) if isinstance(value, Path) else value for name, value in found.items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Exported:
        """Return what `as_dict` wrote."""
        paths = {name: Path(content[name]) for name in ("folder", *FORMATS) if content[name] is not None}
        return cls(**{**content, **paths})

    def _paths(self) -> dict[str, Path]:
        written = {name: getattr(self, name) for name in FORMATS}
        return {name: path for name, path in written.items() if path is not None}

    def _check(self, name: str) -> str:
        if name in self.unchecked:
            return f": NOT checked, since {self.unchecked[name]}"
        measured = ", ".join(f"{what} {value}" for what, value in self.measured.get(name, {}).items())
        return f": checked ({measured})" if measured else ""
