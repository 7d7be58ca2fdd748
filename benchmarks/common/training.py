"""What the benchmarks of training share: gsm8k's own solutions as tokens, students of random weights, and peers.

Nothing here is measured; a student's weights are random, since no figure depends on them.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the figures are of this machine's processor

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh
from tunix.models.gemma3 import model as gemma3
from tunix.sft import hooks, peft_trainer

from tunixhack.recipes import math
from tunixhack.steps.decontaminate import Decontaminate
from tunixhack.steps.length_filter import LengthFilter
from tunixhack.train.attention.base import Attend
from tunixhack.train.attention.chunked import Chunked
from tunixhack.train.attention.dense import seen_pairs
from tunixhack.train.core.batches import step_inputs
from tunixhack.train.core.loss import in_compute_dtype, mean_loss, token_losses
from tunixhack.train.core.mesh import device_mesh, with_lora
from tunixhack.train.core.saving import Saving
from tunixhack.train.core.trainer import GivenBatch, Trainer, TrainingStep
from tunixhack.train.data.chat import Renderer
from tunixhack.train.data.datasets import read
from tunixhack.train.data.packing import Packed, PackedBatch
from tunixhack.train.data.token_set import TokenSet
from tunixhack.train.data.tokenize import tokenise
from tunixhack.train.models.gemma3 import FAMILY, Gemma3
from tunixhack.train.models.load import find
from tunixhack.train.settings import Settings, settings

LENGTH = 512
CHUNKED = Chunked()
PAD = 0
GSM8K = Path(__file__).resolve().parents[3] / "shared" / "data" / "gsm8k" / "train.jsonl"
"""The source's file beside the checkout; without it, the source is the recipe's own, on the Hub."""


def options(description: str) -> argparse.ArgumentParser:
    """Start a command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--source", default=str(GSM8K) if GSM8K.exists() else None, help="of the math domain")
    parser.add_argument("--tokenizer", default=None, help="a student whose tokens count; SmolLM2's if left out")
    return parser


def solutions(folder: Path, rows: int, source: str | None, tokenizer: str | None, vocabulary: int) -> TokenSet:
    """Build a dataset with ``teacher="reference"``, and turn it into tokens.

    Args:
        folder: where the run goes.
        rows: how many.
        source: of the questions and their solutions.
        tokenizer: the student whose tokenizer is used, since padding depends on how long rows are in real tokens.
        vocabulary: of the student that is trained: ids are folded into it, which changes no row's length.
    """
    recipe = math.recipe if source is None else math.recipe.replace(source=source)
    # all solutions, and not the longer half that a teacher's samples would be bought for; nobody is evaluated on them
    left_out = (LengthFilter, Decontaminate)
    recipe = recipe.replace(steps=tuple(step for step in recipe.steps if not isinstance(step, left_out)))
    run = recipe.build("reference", questions=rows, out=folder / f"solutions-{rows}")
    if tokenizer is None:
        from tunixhack.teachers.local.model_file import fetch_shipped

        tokenizer = str(fetch_shipped())
    base = find(tokenizer, accept_terms=True)
    data = tokenise([read(run)], Renderer(base.family.chat, base.tokenizer), max_seq_len=LENGTH)
    return dataclasses.replace(data, tokens=(1 + data.tokens % (vocabulary - 1)).astype(np.int32))


def tiny() -> gemma3.ModelConfig:
    """Six layers of 64 numbers."""
    return gemma3.ModelConfig(
        num_layers=6, num_embed=512, embed_dim=64, hidden_dim=128, num_heads=4, head_dim=16, num_kv_heads=1,
        sliding_window_size=256, local_base_frequency=10_000, global_base_frequency=1_000_000,
    )  # fmt: skip


def gemma_270m() -> gemma3.ModelConfig:
    """Gemma 3 270M."""
    return gemma3.ModelConfig.gemma3_270m()


def gemma_1b() -> gemma3.ModelConfig:
    """Gemma 3 1B, whose weights in fp32 are 4 GB."""
    return gemma3.ModelConfig.gemma3_1b_it()


STUDENTS: dict[str, Callable[[], gemma3.ModelConfig]] = {"tiny": tiny, "270m": gemma_270m, "1b": gemma_1b}


def student(config: gemma3.ModelConfig, method: str, mesh: Mesh) -> nnx.Module:
    """Make a student of random weights in fp32."""
    model = Gemma3(config, rngs=nnx.Rngs(0))
    state = nnx.state(model, nnx.Param)
    leaves, tree = jax.tree.flatten(state)
    keys = jax.random.split(jax.random.key(0), len(leaves))
    # Tunix makes the feed-forward's kernels of zeros
    fresh = [0.02 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
    nnx.update(model, jax.tree.unflatten(tree, fresh))
    if method == "lora":
        return with_lora(model, mesh, modules=FAMILY.lora_modules, rank=16, alpha=32.0)
    return model


class Ours:
    """Our trainer, on chosen batches.

    Args:
        config: of the student.
        method: full or lora.
        batch: training rows of a step.
        folder: of its checkpoints, of which none is written.
    """

    def __init__(
        self, config: gemma3.ModelConfig, method: str, batch: int, folder: Path, attend: Attend = CHUNKED
    ) -> None:
        self._waiting: list[PackedBatch] = []
        self.results: list[TrainingStep] = []
        self.mesh = device_mesh(batch)
        self._trainer = Trainer(
            student(config, method, self.mesh),
            family=FAMILY,
            attend=attend,
            settings=plan(method, batch),
            saving=Saving(folder, max_to_keep=1, every=1e9),
            callbacks=self,
        )
        self._trainer.is_managed_externally = True  # Tunix's word for: there is more to come, do not close

    def next_batch(self, step: int) -> GivenBatch | None:
        """Return the next of the batches."""
        return GivenBatch(self._waiting.pop(0), 1e-5) if self._waiting else None

    def data_position(self) -> dict[str, Any]:
        """Return nothing: no checkpoint is gone on from."""
        return {}

    def after_step(self, result: TrainingStep) -> None:
        """Keep what a step found."""
        self.results.append(result)

    def before_save(self) -> None:
        """Do nothing: nothing is reported."""

    @property
    def model(self) -> nnx.Module:
        """The student."""
        return self._trainer.model

    def seconds(self, batches: Sequence[PackedBatch]) -> float:
        """Train on batches and return how long it took."""
        self._waiting = list(batches)
        return timed(self._trainer, self.mesh)


class Bare:
    """Tunix's trainer as it is, on the same student.

    Args:
        config: of the student.
        method: full or lora.
        batch: training rows of a step.
        loss: ``"ours"``: our loss on packed rows; ``"packed"``: Tunix's own loss on packed rows; ``"padded"``: Tunix's
            own loss on rows that are filled up.
    """

    def __init__(self, config: gemma3.ModelConfig, method: str, batch: int, loss: str) -> None:
        self.mesh = device_mesh(batch)
        kept = plan(method, batch)
        optimizer = optax.chain(
            optax.clip_by_global_norm(kept.max_grad_norm), optax.adamw(1e-5, weight_decay=kept.weight_decay)
        )
        self._waiting: list[Any] = []
        self._trainer = peft_trainer.PeftTrainer(
            student(config, method, self.mesh), optimizer, peft_trainer.TrainingConfig(eval_every_n_steps=1)
        )
        self._trainer.with_gen_model_input_fn(
            {"padded": padded_input, "packed": packed_input, "ours": segmented_input}[loss]
        )
        if loss == "ours":
            self._trainer.with_loss_fn(our_loss)
        self._trainer.with_data_hooks(_Waiting(self._waiting))
        self._trainer.is_managed_externally = True

    def seconds(self, batches: Sequence[Any]) -> float:
        """Train on batches and return how long it took."""
        self._waiting.extend(batches)
        return timed(self._trainer, self.mesh)


class _Waiting(hooks.DataHooks):
    def __init__(self, batches: list[Any]) -> None:
        self._batches = batches

    def load_next_train_batch(self, train_ctx: Any) -> Any:
        if not self._batches:
            return None
        batch = self._batches.pop(0)
        if isinstance(batch, PackedBatch):
            return step_inputs(batch)
        return batch

    def load_next_eval_batch(self, train_ctx: Any) -> None:
        return None


def plan(method: str, batch: int) -> Settings:
    """Settings of a comparison: fp32 on both sides, as Tunix's own step computes in what the weights are in."""
    return settings(method, max_seq_len=LENGTH, batch_size=batch, compute="float32")  # type: ignore[arg-type]


def timed(trainer: peft_trainer.PeftTrainer, mesh: Mesh) -> float:
    """Train until the batches end; the last step is waited for."""
    start = time.perf_counter()
    with mesh:
        trainer.train([])
    jax.block_until_ready(jax.tree.leaves(nnx.state(trainer.model, nnx.Param))[0])
    return time.perf_counter() - start


def packed(data: TokenSet, batch: int) -> list[PackedBatch]:
    """All full batches of packed rows."""
    return list(Packed(data, max_seq_len=LENGTH, batch_size=batch))


def padded(data: TokenSet, batch: int) -> list[peft_trainer.TrainingInput]:
    """The rows as Tunix's notebooks give them: one to a training row, filled up to its length."""
    batches = []
    for first in range(0, len(data) - batch + 1, batch):
        tokens = np.full((batch, LENGTH), PAD, np.int32)
        mask = np.zeros((batch, LENGTH), bool)
        for place in range(batch):
            row = data.row(first + place)
            tokens[place, : len(row.tokens)], mask[place, : len(row.tokens)] = row.tokens, row.loss_mask
        batches.append(peft_trainer.TrainingInput(input_tokens=tokens, input_mask=mask))
    return batches


def learnt(batch: PackedBatch | peft_trainer.TrainingInput) -> int:
    """Tokens under the loss mask."""
    mask = batch.loss_mask if isinstance(batch, PackedBatch) else batch.input_mask
    return int(np.asarray(mask)[:, 1:].sum())


def packed_input(batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """What Tunix's loss takes, of packed rows."""
    return {
        "input_tokens": batch["tokens"],
        "input_mask": batch["loss_mask"],
        "positions": batch["positions"],
        "attention_mask": seen_pairs(batch["segments"], None),
    }


def segmented_input(batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """What our loss takes, of packed rows."""
    return {
        "input_tokens": batch["tokens"],
        "input_mask": batch["loss_mask"],
        "positions": batch["positions"],
        "segments": batch["segments"],
    }


def padded_input(batch: peft_trainer.TrainingInput) -> dict[str, jax.Array]:
    """What Tunix's notebooks make of filled-up rows."""
    from tunix.sft import utils

    real = batch.input_tokens != PAD
    return {
        "input_tokens": batch.input_tokens,
        "input_mask": batch.input_mask,
        "positions": utils.build_positions_from_mask(real),
        "attention_mask": utils.make_causal_attn_mask(real),
    }


def our_loss(
    model: nnx.Module,
    input_tokens: jax.Array,
    input_mask: jax.Array,
    positions: jax.Array,
    segments: jax.Array,
    dtype: Any = jnp.float32,
) -> jax.Array:
    """Our loss in the form that Tunix's trainer asks for."""
    graph, state = nnx.split(model)
    computing = nnx.merge(graph, in_compute_dtype(state, dtype))
    hidden = FAMILY.hidden_states(computing, input_tokens, positions, segments, CHUNKED)
    return mean_loss(hidden, FAMILY.output_table(computing), input_tokens, input_mask)


def unrolled(kind: Any, dtype: Any) -> Callable[..., Any]:
    """Return loss and gradients through Tunix's layers, one after the other, and our loss of their states."""

    def compute(model: nnx.Module, batch: Any) -> Any:
        graph, learnt, rest = nnx.split(model, kind, ...)

        def loss(learnt: Any) -> jax.Array:
            whole = nnx.merge(graph, *(in_compute_dtype(one, dtype) for one in (learnt, rest)))
            seen = seen_pairs(batch["segments"], None)
            whole(batch["tokens"], batch["positions"], None, seen, output_hidden_states=True)
            (states,) = jax.tree.leaves(nnx.pop(whole, nnx.Intermediate))
            return token_losses(states, FAMILY.output_table(whole), batch["tokens"], batch["loss_mask"]).sum()

        return jax.value_and_grad(loss)(learnt)

    return compute


def print_ratio(name: str, ratios: Sequence[float], goal: str) -> None:
    """Print the median of some rounds, their span, and the load."""
    print(f"{name}: {statistics.median(ratios):.2f}")
    print(f"  goal {goal}; rounds {', '.join(f'{one:.2f}' for one in ratios)}; load {os.getloadavg()[0]:.1f}")
