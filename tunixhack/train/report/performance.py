"""How fast a training was, and what it took: the numbers of its steps, summed up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunixhack.train.core.memory_estimate import in_gb
from tunixhack.train.record import Performance


def summed_up(lines: Sequence[Mapping[str, Any]], *, estimated_memory: int | None = None) -> Performance:
    """Sum up the steps of a training, over all of its starts.

    Speed is that of the steps for which nothing was compiled.

    Args:
        lines: as `tunixhack.train.report.metrics.read` gives them. Those that tell nothing of compiling are an older
            version's, and left out.
        estimated_memory: bytes on each device, as they were told before the first step.
    """
    known = [line for line in lines if "compile_seconds" in line]
    steady = [line for line in known if not line["compile_seconds"] and line.get("seconds", 0) > 0]
    seconds = sum(line["seconds"] for line in steady)
    used = [line for line in steady if "mfu" in line]
    used_seconds = sum(line["seconds"] for line in used)
    peaks = [int(line["peak_memory_bytes"]) for line in known if "peak_memory_bytes" in line]
    return Performance(
        tokens_per_second=sum(line.get("tokens", 0) for line in steady) / seconds if seconds else None,
        mfu=sum(line["mfu"] * line["seconds"] for line in used) / used_seconds if used_seconds else None,
        step_seconds=seconds / len(steady) if steady else None,
        data_wait_seconds=sum(line.get("data_wait_seconds", 0.0) for line in known) if known else None,
        compile_seconds=sum(line["compile_seconds"] for line in known) if known else None,
        peak_memory_bytes=max(peaks, default=None),
        estimated_memory_bytes=estimated_memory,
    )


def in_words(found: Performance) -> str:
    """Say it in one line; empty where nothing is known.

    >>> in_words(Performance(tokens_per_second=47_500.4, mfu=0.171, data_wait_seconds=0.31, compile_seconds=48.2))
    '47,500 tokens/s without padding, MFU 17%, 0.3 s waiting for data, 48.2 s compiling'
    """
    told = f" ({in_gb(found.estimated_memory_bytes)} told before)" if found.estimated_memory_bytes else ""
    parts = [
        found.tokens_per_second and f"{found.tokens_per_second:,.0f} tokens/s without padding",
        found.mfu and f"MFU {found.mfu:.0%}",
        found.data_wait_seconds is not None and f"{found.data_wait_seconds:.1f} s waiting for data",
        found.compile_seconds is not None and f"{found.compile_seconds:.1f} s compiling",
        found.peak_memory_bytes and f"at most {in_gb(found.peak_memory_bytes)} of a device's memory{told}",
    ]
    return ", ".join(part for part in parts if part)
