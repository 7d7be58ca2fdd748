"""The settings of a training: every number, its default by method, and where that default comes from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tunixhack.errors import UserError, nearest
from tunixhack.train.data.chat import Format
from tunixhack.train.old_names import renamed_arguments, takes_old_arguments

Method = Literal["full", "lora", "qlora"]


@takes_old_arguments
@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of what a training does with its data; trainings with equal settings, data and students are the same.

    The defaults are those of LoRA, as `defaults` gives them for the other methods.
    """

    method: Method = "lora"
    """``full``: every weight, in fp32 masters; ``lora``: adapters; ``qlora``: adapters on weights of 4 bits (nf4)."""
    epochs: int = 2
    """How often each row of weight 1 is learnt."""
    max_seq_len: int = 1024
    """Tokens of a training row, into which rows are packed. A longer row is dropped, not cut."""
    batch_size: int = 8
    """Training rows of a step. The devices must divide it."""
    micro_batch_size: int | None = None
    """Training rows in memory at once; None for all of the batch. Gradients are accumulated over the batch, each token
    counting alike."""
    learning_rate: float = 2e-4
    """The peak learning rate, at the end of the warm-up."""
    warmup_ratio: float = 0.05
    """Share of the steps over which the learning rate rises from 0; then it falls to 0 as a cosine."""
    max_grad_norm: float = 1.0
    """A step's gradient is clipped to this norm."""
    weight_decay: float = 0.0
    """AdamW's."""
    lora_rank: int = 16
    """Of LoRA's adapters."""
    lora_alpha: float = 32.0
    """Their output is scaled by ``lora_alpha / lora_rank``."""
    format: Format = "tags"
    """How trace and answer are written; see `tunixhack.train.data.chat.LAYOUTS`."""
    system: str | None = None
    """A system text for every conversation that brings none."""
    validation_questions: int = 64
    """Questions that are not trained on, at most an eighth of all."""
    seed: int = 0
    """Of the order of the rows, the validation questions, and the adapters' first values."""
    compute: Literal["bfloat16", "float32"] = "bfloat16"
    """The numbers that forward and backward pass compute with."""

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            UserError: a number is out of its range.
        """
        if self.method not in get_args(Method):
            raise UserError(f"method {self.method!r} is unknown: {nearest(str(self.method), get_args(Method))}")
        for name in ("learning_rate", "max_grad_norm", "lora_alpha"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UserError(f"{name} is {value}: it must be above 0")
        for name in ("epochs", "max_seq_len", "batch_size", "lora_rank"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: it must be at least 1")
        if self.max_seq_len < 2:
            raise UserError("max_seq_len is 1: a training row needs at least 2 tokens, one to learn behind another")
        if not 0 <= self.warmup_ratio < 1:
            raise UserError(f"warmup_ratio is {self.warmup_ratio}: it is a share of the steps, from 0 to below 1")
        if self.weight_decay < 0 or self.validation_questions < 0:
            raise UserError("weight_decay and validation_questions must not be negative")
        size, part = self.batch_size, self.micro_batch_size
        if part is not None and (part < 1 or size % part):
            raise UserError(
                f"micro_batch_size {part} does not divide batch_size {size}: take one of "
                f"{', '.join(str(n) for n in range(1, size + 1) if size % n == 0)}"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return dataclasses.asdict(self)


_BY_METHOD: Mapping[str, Mapping[str, Any]] = {
    # Rank, alpha and rate of Google's own LoRA notebooks and of the hackathon's entries: rank 16 to 64, 1e-4 to 2e-4
    "lora": {"learning_rate": 2e-4},
    "qlora": {"learning_rate": 2e-4},  # Dettmers et al., QLoRA, 2023, table 9: 2e-4 up to 13B parameters
    # Qwen2.5-7B in OpenThoughts' "small" and "1k" configurations
    "full": {"learning_rate": 2e-5},
}

SCALES: Mapping[str, Mapping[str, Any]] = {
    "micro": {"batch_size": 32, "learning_rate": 1e-5, "epochs": 13},
    "small": {"batch_size": 96, "learning_rate": 2e-5, "epochs": 7},
    "1k": {"batch_size": 96, "learning_rate": 2e-5, "epochs": 11},
    "medium": {"batch_size": 128, "learning_rate": 4e-5, "epochs": 5},
    "large": {"batch_size": 512, "learning_rate": 8e-5, "epochs": 5},
}
"""OpenThoughts' configurations by the size of the dataset (316, 1,000 … rows for micro, 31,600 for medium), with a
warm-up of 0.1 and full fine-tuning of a 7B model at 16,384 tokens [1]. Their batch counts rows, ours packed training
rows: with several rows in each, take a smaller one.

[1] https://github.com/open-thoughts/OpenThoughts-Agent, sft/lf_configs/qwen2_5/extra
"""


def settings(method: Method = "lora", *, scale: str | None = None, **changes: Any) -> Settings:
    """Return a method's settings with some of them changed.

    Args:
        method: see `Settings.method`.
        scale: one of `SCALES`; a change goes before it.
        changes: fields of `Settings`, or their old names; None leaves the default.

    Raises:
        UserError: an unknown name or scale, or a number out of its range.

    >>> settings("full").learning_rate, settings("full", scale="micro", epochs=2).batch_size
    (2e-05, 32)
    """
    changes = renamed_arguments(changes, stacklevel=2)
    known = [field.name for field in dataclasses.fields(Settings)]
    for name in changes:
        if name not in known:
            raise UserError(f"there is no setting {name!r}: {nearest(name, known)}")
    if scale is not None and scale not in SCALES:
        raise UserError(f"scale {scale!r} is unknown: {nearest(scale, SCALES)}")
    if method not in _BY_METHOD:
        raise UserError(f"method {method!r} is unknown: {nearest(str(method), _BY_METHOD)}")
    presets = {**_BY_METHOD[method], **({"warmup_ratio": 0.1} | dict(SCALES[scale]) if scale else {})}
    return Settings(**{"method": method, **presets, **{name: v for name, v in changes.items() if v is not None}})


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say where two descriptions of a training differ, a phrase for each.

    >>> differences({"batch_size": 8, "seed": 0}, {"batch_size": 16, "seed": 0})
    ['batch_size was 8 and is 16']
    """
    return [
        f"{name} was {before.get(name)} and is {now.get(name)}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
