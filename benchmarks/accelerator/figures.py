"""Floating-point operations that a training step needs, and what a device can do in a second."""

from __future__ import annotations

from collections.abc import Mapping

RANK = 16
"""Of LoRA's adapters."""

PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "TPU v5 lite": 197e12, "TPU v5p": 459e12, "TPU v6": 918e12}
"""Floating-point operations a second in bf16 without sparsity, by a part of the device's name, as its maker says."""


def peak_of(device: str) -> float | None:
    """Return what a device can do, by its name; None for one that is not known.

    >>> peak_of("NVIDIA H200")
    989000000000000.0
    """
    return next((peak for part, peak in PEAKS.items() if part in device), None)


def useful_flops(sizes: Mapping[str, int], method: str, tokens: float, learnt: float) -> float:
    """Count what a step needs: of real tokens alone, without attention, and nothing that is computed twice.

    A weight that is learnt takes 6 operations a token (2 forward, 4 backward), a frozen one 4. The table of the
    vocabulary makes logits of learnt tokens alone.

    Args:
        sizes: of the student, as config.json names them.
        method: ``lora`` or ``full``.
        tokens: real ones in the step.
        learnt: those under the loss mask.
    """
    width, inner, layers = sizes["hidden_size"], sizes["intermediate_size"], sizes["num_hidden_layers"]
    heads = sizes["num_attention_heads"] * sizes["head_dim"]
    keys = sizes["num_key_value_heads"] * sizes["head_dim"]
    weights = layers * (2 * width * heads + 2 * width * keys + 3 * width * inner)
    table = sizes["vocab_size"] * width
    each = 6 if method == "full" else 4
    sides = 2 * (width + heads) + 2 * (width + keys) + 3 * (width + inner)
    adapters = 0 if method == "full" else RANK * layers * sides
    return float(tokens * (each * weights + 6 * adapters) + learnt * each * table)
