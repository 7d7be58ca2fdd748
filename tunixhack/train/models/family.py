"""The differences between families of students: one file for each family, with a `Family` in it.

A family's weights come from a Hugging Face folder and go back into one. Between the two they are a model of Tunix,
which training, generating and exporting treat alike through the functions named here. A new family is one more file
beside `tunixhack.train.models.gemma3`, and a line in `tunixhack.train.models.base_model.FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from flax import nnx
from jax.sharding import Mesh

from tunixhack.train.attention.base import Attend
from tunixhack.train.data.chat import Chat


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of models: how they are read, called and written."""

    name: str
    """``gemma3``, ``llama`` or ``qwen``."""
    model_types: tuple[str, ...]
    """What ``model_type`` in config.json says of a model of this family."""
    chat: Chat
    """How its conversations are written."""
    stops: tuple[str, ...]
    """The tokens that end a reply, by their text; the first is the one that is trained."""
    lora_modules: str
    """A regular expression over the paths of Tunix's modules: every matrix of attention and feed-forward."""
    configure: Callable[[Mapping[str, Any]], Any]
    """Make Tunix's ModelConfig of a config.json.

    Raises UserError for a model that Tunix computes otherwise (another rope scaling, a bias that it lacks, …).
    """
    tensors: Callable[[Any], Mapping[str, tuple[int, ...]]]
    """Name every tensor that a folder of such a config must have, as Hugging Face names it, with its shape."""
    load: Callable[[Path, Any, Mesh | None, Any], nnx.Module]
    """Read a folder's weights into a model: ``load(folder, config, mesh, dtype)``; the header was checked before."""
    hidden_states: Callable[[Any, jax.Array, jax.Array, jax.Array, Attend], jax.Array]
    """``hidden_states(model, tokens, positions, segments, attend)``: see `tunixhack.train.models.packed`."""
    output_table: Callable[[Any], jax.Array]
    """The matrix [V, D] that makes logits of hidden states."""
    to_huggingface: Callable[[Any], Iterator[tuple[str, npt.NDArray[np.generic]]]]
    """Give the weights of a model without LoRA back under the names and shapes of `tensors`, one at a time."""
