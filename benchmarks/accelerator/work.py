"""One experiment, in a process of its own: ``python -m benchmarks.accelerator.work KIND RESULT FOLDER ARGUMENTS``."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.accelerator import shapes
from benchmarks.accelerator.figures import peak_of, useful_flops
from benchmarks.accelerator.process import Skipped

STEPS = 12
"""Of a training; those of the profile come behind."""
SHORTER = 16
"""How much shorter rows are with the tiny student, which a processor tries the script with."""
PROMPTS, NEW = 64, 256
"""Questions that are asked at once, and tokens of each reply."""
PACKAGES = ("jax", "flax", "google-tunix", "torch", "transformers", "peft")

Asked = dict[str, Any]


def make(work: Path, asked: Asked) -> dict[str, Any]:
    return shapes.write(work, asked["shape"])


def device(work: Path, asked: Asked) -> dict[str, Any]:
    """Name the device, and measure what a product of two matrices reaches on it."""
    import jax
    import jax.numpy as jnp

    from benchmarks.accelerator.ours import milliseconds

    size = 512 if _tiny(asked) else 8192
    left, right = (jax.random.normal(jax.random.key(seed), (size, size), jnp.bfloat16) for seed in (0, 1))
    product = jax.jit(jnp.dot)
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "name": jax.devices()[0].device_kind,
        "count": jax.device_count(),
        "versions": versions,
        "product_tflops": 2 * size**3 / milliseconds(lambda: product(left, right)) / 1e9,
    }


def train(work: Path, asked: Asked) -> dict[str, Any]:
    """Train by this package."""
    from benchmarks.accelerator import ours

    asked = _sized(asked) | {"rows": asked["rows"] * _devices()}
    found = ours.train_steps(work, asked, _steps(asked))
    return _with_rates(work, asked, {**found, **_profile(Path(found.pop("profile")))})


def transformers_train(work: Path, asked: Asked) -> dict[str, Any]:
    """Train by transformers and PyTorch."""
    from benchmarks.accelerator import peers

    asked = _sized({"length": 2048, **asked})
    return _with_rates(work, asked, peers.transformers_train(work, asked, _steps(asked)), devices=1)


def tunix_train(work: Path, asked: Asked) -> dict[str, Any]:
    """Train by Tunix's own trainer; its rows are long enough for the longest of ours."""
    from benchmarks.accelerator import peers

    asked = {**asked, "method": "lora", "length": peers.PADDED, **({"rows": 2} if _tiny(asked) else {})}
    return _with_rates(work, asked, peers.tunix_train(work, asked, _steps(asked)))


def generate(work: Path, asked: Asked) -> dict[str, Any]:
    """Ask by this package."""
    from benchmarks.accelerator import ours

    return ours.generate_tokens(work, *_generated(asked)) | {"peak_gb": _peak_gb()}


def transformers_generate(work: Path, asked: Asked) -> dict[str, Any]:
    """Ask by transformers."""
    from benchmarks.accelerator import peers

    return peers.transformers_generate(work, *_generated(asked))


def attention(work: Path, asked: Asked) -> dict[str, Any]:
    """Compare the attention that is chosen here with the dense one."""
    from benchmarks.accelerator import ours

    sizes = shapes.SHAPES[asked["shape"]]
    window = sizes["sliding_window"]
    wanted = [(4, 2048, None), (4, 2048, window), (1, 8192, None), (1, 8192, window), (1, 16384, None)]
    if _tiny(asked):
        wanted = [(2, 256, None), (2, 256, 32)]
    return {"paths": ours.attention_errors(sizes, wanted)}


KINDS: dict[str, Callable[[Path, Asked], dict[str, Any]]] = {
    one.__name__: one
    for one in (make, device, train, transformers_train, tunix_train, generate, transformers_generate, attention)
}


def main(kind: str, result: str, work: str, arguments: str) -> int:
    """Make an experiment, and write what it found."""
    asked = json.loads(arguments)
    try:
        found = KINDS[kind](Path(work), asked)
    except Skipped as skipped:
        found = {"skipped": str(skipped)}
    except Exception as error:  # its last line goes into the table, the whole into the log
        _write(result, {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"})
        raise
    _write(result, found)
    return 0


def _write(result: str, found: dict[str, Any]) -> None:
    Path(result).write_text(json.dumps(found, indent=1), encoding="utf-8")


def _with_rates(work: Path, asked: Asked, found: dict[str, Any], devices: int | None = None) -> dict[str, Any]:
    """Add what follows from the time of a step."""
    seconds, tokens = found["step_ms"] / 1e3, found["tokens"]
    flops = useful_flops(shapes.SHAPES[asked["shape"]], asked["method"], tokens, found["learnt"])
    peak = _peak_flops()
    return {
        "rows": asked["rows"],
        "length": asked["length"],
        "peak_gb": _peak_gb(),
        **found,
        "tokens_per_second": tokens / seconds,
        "mfu": flops / seconds / (peak * (devices or _devices())) if peak else None,
    }


def _profile(folder: Path) -> dict[str, Any]:
    """Count the kernels of a step in a profile; nothing where it has none of an accelerator."""
    from jax.profiler import ProfileData

    from benchmarks.accelerator.ours import TRACED

    files = sorted(folder.rglob("*.xplane.pb"))
    if not files:
        return {}
    kernels, busy = 0, 0.0
    for plane in ProfileData.from_file(str(files[-1])).planes:
        for line in plane.lines:
            gpu = "GPU" in plane.name and line.name.startswith("Stream")
            if gpu or ("TPU" in plane.name and line.name == "XLA Ops"):
                events = list(line.events)
                kernels += len(events)
                busy += sum(event.duration_ns for event in events) / 1e6
    return {"kernels": kernels / TRACED, "busy_ms": busy / TRACED} if kernels else {}


def _peak_flops() -> float | None:
    if "torch" in sys.modules:
        import torch

        return peak_of(torch.cuda.get_device_name()) if torch.cuda.is_available() else None
    import jax

    return peak_of(jax.devices()[0].device_kind)


def _peak_gb() -> float | None:
    import jax

    peak = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return None if peak is None else peak / 1e9


def _devices() -> int:
    import jax

    return int(jax.device_count())


def _tiny(asked: Asked) -> bool:
    return bool(asked["shape"] == "tiny")


def _steps(asked: Asked) -> int:
    return 4 if _tiny(asked) else STEPS


def _sized(asked: Asked) -> Asked:
    length = max(asked["length"] // SHORTER, shapes.LONGEST + 36) if _tiny(asked) else asked["length"]
    return {**asked, "length": length}


def _generated(asked: Asked) -> tuple[int, int]:
    return (4, 16) if _tiny(asked) else (PROMPTS, NEW)


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # threads of jax or Orbax shall not hold the next experiment up
