"""What a user would take instead: transformers and PyTorch, and Tunix's own trainer as it is."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accelerator.ours import load_base, packed_arrays, padded_arrays
from benchmarks.accelerator.process import Skipped
from benchmarks.accelerator.shapes import STUDENT

PADDED = 512
"""Tokens of a row that is filled up, for Tunix's trainer."""


def need(*packages: str) -> None:
    """Skip where a package is missing.

    Raises:
        Skipped: with its name.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise Skipped(f"{' and '.join(missing)} not installed")


def transformers_train(work: Path, asked: dict[str, Any], steps: int) -> dict[str, Any]:
    """Train with transformers: packed rows by their positions, SDPA, bf16, fused AdamW, no layer computed twice."""
    need("torch", "transformers", *(["peft"] if asked["method"] == "lora" else []))
    import torch

    cuda = _device() == "cuda"
    rows, length = asked["rows"], asked["length"]
    arrays = packed_arrays(work, length, steps + 1, rows)
    model = _gemma(work, torch.bfloat16 if cuda and asked["method"] == "lora" else torch.float32)
    if asked["method"] == "lora":
        from peft import LoraConfig, get_peft_model

        linear = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, task_type="CAUSAL_LM", target_modules=linear))
    model.train()
    learnt = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=1e-5, weight_decay=0.0, fused=cuda)
    call = torch.compile(model) if asked.get("compiled") else model

    def step(number: int) -> None:
        part = slice(number * rows, (number + 1) * rows)
        tokens, positions = (
            torch.from_numpy(arrays[name][part].astype(np.int64)).to(_device()) for name in ("tokens", "positions")
        )
        mask = torch.from_numpy(arrays["loss_mask"][part]).to(_device())
        with torch.autocast(_device(), torch.bfloat16, enabled=cuda):
            labels = torch.where(mask, tokens, -100)
            loss = call(input_ids=tokens, position_ids=positions, labels=labels, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    began = time.perf_counter()
    step(0)
    _wait()
    first = time.perf_counter() - began
    step(1)
    _wait()
    began = time.perf_counter()
    for number in range(2, steps):
        step(number)
    _wait()
    seconds = (time.perf_counter() - began) / (steps - 2)
    timed = slice(2 * rows, steps * rows)
    return {
        "step_ms": 1e3 * seconds,
        "tokens": float((arrays["segments"][timed] > 0).sum()) / (steps - 2),
        "learnt": float(arrays["loss_mask"][timed, 1:].sum()) / (steps - 2),
        "first_step_seconds": first,
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9 if cuda else None,
    }


def transformers_generate(work: Path, prompts: int, new: int) -> dict[str, Any]:
    """Generate with transformers, greedily, for prompts of 128 tokens."""
    need("torch", "transformers")
    import torch

    model = _gemma(work, torch.bfloat16 if _device() == "cuda" else torch.float32).eval()
    model.generation_config.eos_token_id = None
    tokens = torch.randint(100, 300, (prompts, 128), device=_device())
    options = {"attention_mask": torch.ones_like(tokens), "do_sample": False, "pad_token_id": 0}
    seconds = []
    with torch.inference_mode():
        for count in (4, new):
            began = time.perf_counter()
            model.generate(tokens, max_new_tokens=count, **options)
            _wait()
            seconds.append(time.perf_counter() - began)
    return {
        "rows": prompts,
        "length": new,
        "tokens_per_second": prompts * new / seconds[1],
        "first_step_seconds": seconds[0],
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9 if _device() == "cuda" else None,
    }


def tunix_train(work: Path, asked: dict[str, Any], steps: int) -> dict[str, Any]:
    """Train with Tunix's PeftTrainer and its default loss on rows that are filled up, as its notebooks have it."""
    import jax
    import jax.numpy as jnp
    import optax
    import qwix
    from flax import nnx
    from tunix.sft import hooks, peft_trainer, utils

    rows = asked["rows"] * jax.device_count()
    base, mesh = load_base(work)
    model = base.load(mesh, jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16)
    provider = qwix.LoraProvider(module_path=base.family.lora_modules, rank=16, alpha=32.0)
    model = qwix.apply_lora_to_model(model, provider, rngs=nnx.Rngs(0), **model.get_model_input())
    arrays = padded_arrays(work, asked["length"], rows * steps)
    waiting: list[Any] = []

    class Waiting(hooks.DataHooks):  # type: ignore[misc]
        """Gives the batches that wait."""

        def load_next_train_batch(self, train_ctx: Any) -> Any:
            return waiting.pop(0) if waiting else None

        def load_next_eval_batch(self, train_ctx: Any) -> None:
            return None

    def model_input(batch: Any) -> dict[str, Any]:
        real = batch.input_tokens != 0
        return {
            "input_tokens": batch.input_tokens,
            "input_mask": batch.input_mask,
            "positions": utils.build_positions_from_mask(real),
            "attention_mask": utils.make_causal_attn_mask(real),
        }

    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-5))
    trainer = peft_trainer.PeftTrainer(model, optimizer, peft_trainer.TrainingConfig(eval_every_n_steps=1))
    trainer.with_gen_model_input_fn(model_input)
    trainer.with_data_hooks(Waiting())
    trainer.is_managed_externally = True

    def seconds(first: int, count: int) -> float:
        for at in range(first, first + count):
            part = slice(at * rows, (at + 1) * rows)
            batch = {"input_tokens": arrays["tokens"][part], "input_mask": arrays["loss_mask"][part]}
            waiting.append(peft_trainer.TrainingInput(**batch))
        began = time.perf_counter()
        with mesh:
            trainer.train([])
        jax.block_until_ready(jax.tree.leaves(nnx.state(trainer.model, nnx.LoRAParam))[0])
        return time.perf_counter() - began

    compiling, _ = seconds(0, 1), seconds(1, 1)
    step = seconds(2, steps - 2) / (steps - 2)
    timed = slice(2 * rows, None)
    return {
        "step_ms": 1e3 * step,
        "tokens": float((arrays["tokens"][timed] > 0).sum()) / (steps - 2),
        "learnt": float(arrays["loss_mask"][timed, 1:].sum()) / (steps - 2),
        "first_step_seconds": compiling,
    }


def _gemma(work: Path, dtype: Any) -> Any:
    """Make transformers' Gemma 3 of the student's shape, with random weights."""
    import torch
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    description = json.loads((work / STUDENT / "config.json").read_text(encoding="utf-8"))
    left_out = {"architectures", "model_type", "torch_dtype", "sliding_window_pattern"}
    left_out |= {"rope_theta", "rope_local_base_freq"}
    config = Gemma3TextConfig(
        **{name: value for name, value in description.items() if name not in left_out}, attn_implementation="sdpa"
    )
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    with torch.device(_device()):
        model = Gemma3ForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    return model


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _wait() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
