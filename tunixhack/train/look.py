"""The doctor's child: it imports Tunix, or asks jax for its devices, and tells. What fails ends it with a traceback."""

from __future__ import annotations

import json
import sys

from tunixhack.child import end_with_parent


def main(question: str, *platforms: str) -> None:
    """Answer one question.

    Args:
        question: ``"tunix"``: can it be imported? ``"devices"``: print jax's, as JSON.
        platforms: those that must be among them; another traceback says why one is not.
    """
    if question == "tunix":
        import tunix  # noqa: F401

        return
    import jax

    found = [(one.platform, one.device_kind, (one.memory_stats() or {}).get("bytes_limit")) for one in jax.devices()]
    print(json.dumps(found), flush=True)
    for platform in platforms:
        jax.devices(platform)


if __name__ == "__main__":
    end_with_parent()
    main(*sys.argv[1:])
