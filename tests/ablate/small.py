"""The options of an ablation that takes seconds."""

from __future__ import annotations

from typing import Any

OPTIONS: dict[str, Any] = {
    "rows": 16,
    "questions": 24,
    "max_tokens": 8,
    "max_seq_len": 128,
    "batch_size": 4,
    "epochs": 1,
    "learning_rate": 1e-2,
    "cpu": True,
}
