"""Settings that Curator reads at import; every file that imports Curator imports this one first."""

from __future__ import annotations

import logging
import os

from tunixhack.errors import UserError

try:
    import resource  # noqa: F401  # Curator imports it (bespokelabsai/curator#290)
except ImportError as error:  # Windows
    raise UserError("generating answers needs Linux or macOS: on Windows, run this inside WSL2") from error

# Both are read at import. Telemetry also costs 2.6 s at exit without internet; the price table is fetched without it.
os.environ.setdefault("TELEMETRY_ENABLED", "false")
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")


def close_log_files() -> None:
    """Close the log files that each Curator call opens and never closes (curator A8)."""
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "curator":
            logger = logging.getLogger(name)
            for handler in [h for h in logger.handlers if isinstance(h, logging.FileHandler)]:
                logger.removeHandler(handler)
                handler.close()
