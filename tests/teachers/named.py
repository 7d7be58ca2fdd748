"""A scripted teacher in the place of one that has a name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tunixhack.teachers.registry.presets import PRESETS
from tunixhack.testing import ScriptedTeacher


@contextmanager
def named(patch: pytest.MonkeyPatch, name: str, **behaviour: Any) -> Iterator[ScriptedTeacher]:
    """Serve a preset's dialect where the preset says it is, with the key that it wants."""
    preset = PRESETS[name]
    key = f"sk-of-{name}" if preset.key_needed else None
    with ScriptedTeacher(**{"dialect": name, "api_key": key} | behaviour) as server:
        patch.setitem(PRESETS, name, replace(preset, url=server.url, url_variable=None))
        if key:
            patch.setenv(preset.key, key)
        yield server
