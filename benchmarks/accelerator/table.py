"""The table of all experiments, in markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.accelerator.experiments import Experiment

HEAD = (
    "experiment", "rows × tokens", "ms a step", "real tokens/s", "useful MFU", "first step s", "peak GB", "told before",
    "kernels a step", "beside it", "goal",
)  # fmt: skip


def markdown(results: Mapping[str, Mapping[str, Any]], experiments: Sequence[Experiment]) -> str:
    """Write the table, and below it what was not measured, and why.

    Args:
        results: by the experiments' names.
        experiments: in the order of the rows.
    """
    device = results.get("device", {})
    lines = [
        f"{device.get('name', 'unknown device')} × {device.get('count', '?')}; "
        + ", ".join(f"{name} {version}" for name, version in device.get("versions", {}).items())
        + f"; a bf16 product reaches {number(device.get('product_tflops'))} TFLOP/s",
        "",
        f"| {' | '.join(HEAD)} |",
        f"|{'---|' * len(HEAD)}",
    ]
    missing = []
    for experiment in experiments:
        found = results.get(experiment.name)
        if found is None or experiment.kind in ("make", "device"):
            continue
        if "tokens_per_second" in found:
            lines.append(_row(experiment, found, results))
        elif experiment.kind == "attention" and "paths" in found:
            lines += ["", *_attention(found), ""]
        if found.get("ended") != "well" or "skipped" in found:
            missing.append(f"- {experiment.name}: {why(found)}")
    return "\n".join([*lines, *(["", "Not measured, or not to the end:", "", *missing] if missing else [])]) + "\n"


def why(found: Mapping[str, Any]) -> str:
    """Say in a sentence why an experiment has no figures."""
    if "skipped" in found:
        return f"skipped: {found['skipped']}"
    said = found.get("error") or " ".join(found.get("log", [])[-1:])
    return f"{found.get('ended', 'not begun')}{f': {said[:300]}' if said else ''}"


def number(value: Any) -> str:
    """Write a number for the table.

    >>> number(11700.4), number(0.173), number(None)
    ('11,700', '0.173', '-')
    """
    if not isinstance(value, int | float):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _row(experiment: Experiment, found: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]]) -> str:
    beside = results.get(f"{experiment.name}-dense", {}).get("tokens_per_second")
    if experiment.name == "generate":
        beside = results.get("transformers-generate", {}).get("tokens_per_second")
    mfu = found.get("mfu")
    cells = [
        experiment.name,
        f"{number(found.get('rows'))} × {number(found.get('length'))}",
        number(found.get("step_ms")),
        number(found["tokens_per_second"]),
        f"{mfu:.0%}" if mfu is not None else "-",
        number(found.get("first_step_seconds")),
        number(found.get("peak_gb")),
        found.get("told") or "-",
        number(found.get("kernels")),
        f"{found['tokens_per_second'] / beside:.2f} ×" if beside else "-",
        experiment.goal or "-",
    ]
    return f"| {' | '.join(cells)} |"


def _attention(found: Mapping[str, Any]) -> list[str]:
    head = ("attention", "rows × tokens, window", "forward and backward ms", "dense ms", "largest error")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for path in found["paths"]:
        size = f"{path['rows']} × {path['length']:,}, {path['window'] or 'none'}"
        cells = [path["name"], size, *(number(path[name]) for name in ("ms", "dense_ms", "error"))]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
