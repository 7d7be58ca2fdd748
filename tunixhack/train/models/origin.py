"""The origin of a student and its licence, as a model card tells them; what is not known is left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunixhack.train.models import shipped
from tunixhack.train.models.kaggle import PREFIX

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
"""``user/name``."""

_SHIPPED = {shipped.GEMMA: "google/gemma-3-270m", shipped.SMOLLM2: "HuggingFaceTB/SmolLM2-135M-Instruct"}
_NAMED = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)([:@].*)?", re.ASCII)
_FILES = (".jsonl", ".json", ".csv", ".parquet", ".gguf")
_CACHED = re.compile(r"models--(?P<user>[\w.-]+?)--(?P<name>[\w.-]+)", re.ASCII)
_KAGGLE = re.compile(rf"{PREFIX}google/gemma-3/transformers/(?P<name>gemma-3-[\w.-]+?)(/\d+)?", re.ASCII)

_LICENCES: tuple[tuple[str, Mapping[str, str]], ...] = (
    (r"google/gemma-3-.*", {"id": "gemma"}),
    (r"meta-llama/Llama-3\.3-.*", {"id": "llama3.3"}),
    (r"meta-llama/Llama-3\.2-.*", {"id": "llama3.2"}),
    (r"meta-llama/(Meta-)?Llama-3\.1-.*", {"id": "llama3.1"}),
    (r"meta-llama/Meta-Llama-3-.*", {"id": "llama3"}),
    (r"Qwen/Qwen2\.5-3B(-Instruct)?", {"id": "other", "name": "qwen-research"}),
    (r"Qwen/Qwen2\.5-(0\.5B|1\.5B|7B|14B|32B)(-Instruct)?", {"id": "apache-2.0"}),
    (r"Qwen/Qwen3-[\d.]+B(-.*)?", {"id": "apache-2.0"}),
    (r"HuggingFaceTB/SmolLM2?-.*", {"id": "apache-2.0"}),
)
"""Licences by the Hub's ids of models that can be trained here, as their pages tell them."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,60}", re.ASCII)
_LINK = re.compile(r"https://[\w./%#?=&:@~+-]{1,300}", re.ASCII)


def hub_id(name: str) -> str | None:
    """Return the Hub's id in what a user named; None where it is a folder or file, or comes from elsewhere.

    >>> hub_id("google/gemma-3-1b-it@main"), hub_id("runs/creative.jsonl"), hub_id("kaggle:google/gemma-3/flax/1b")
    ('google/gemma-3-1b-it', None, None)
    """
    found = _NAMED.fullmatch(name)
    return found["repo"] if found and not Path(name).expanduser().exists() and not name.endswith(_FILES) else None


def model_id(name: str, folder: Path) -> str | None:
    """Return the Hub's id of a student, wherever it was taken from; None where it is not known.

    Args:
        name: as the user gave it, for `tunixhack.train.models.load.find`.
        folder: where its files are; a snapshot of the Hub's own cache tells its id.

    >>> model_id("gemma-3-270m", Path(".")), model_id("kaggle:google/gemma-3/transformers/gemma-3-1b-it/1", Path("."))
    ('google/gemma-3-270m', 'google/gemma-3-1b-it')
    """
    if name in _SHIPPED:
        return _SHIPPED[name]
    if (found := _KAGGLE.fullmatch(name)) is not None:
        return f"google/{found['name']}"
    if (known := hub_id(name)) is not None:
        return known
    cached = _CACHED.fullmatch(folder.parent.parent.name) if folder.parent.name == "snapshots" else None
    return f"{cached['user']}/{cached['name']}" if cached is not None else None


def licence(model: str | None, folder: Path | None = None) -> dict[str, str] | None:
    """Return the licence of a student: what its own card says, or what is known of its Hub id; None where neither.

    Args:
        model: the Hub's id, where that is known.
        folder: of its files, which may have the Hub's ``README.md`` among them.

    Returns:
        ``id``, one of the Hub's or ``other``; with ``other`` also ``name`` and ``link``, where these are known.

    >>> licence("google/gemma-3-1b-it"), licence("user/model")
    ({'id': 'gemma'}, None)
    """
    own = _of_card(folder / "README.md") if folder is not None else None
    if own is not None:
        return own
    known = next((dict(told) for pattern, told in _LICENCES if model and re.fullmatch(pattern, model)), None)
    if known is not None and known["id"] == "other":
        known["link"] = f"https://huggingface.co/{model}/blob/main/LICENSE"
    return known


def _of_card(path: Path) -> dict[str, str] | None:
    """Read the licence in the front matter of a model's card."""
    from huggingface_hub.repocard import metadata_load

    try:
        told: Any = metadata_load(path)
    except Exception:  # noqa: BLE001 - no card, or front matter that YAML cannot read in one of many ways
        return None
    names = {"id": "license", "name": "license_name", "link": "license_link"}
    return checked({ours: told.get(theirs) for ours, theirs in names.items()}) if isinstance(told, dict) else None


def checked(told: Mapping[str, Any]) -> dict[str, str] | None:
    r"""Keep of a licence what has the form that the Hub wants; None without an id.

    >>> checked({"id": "apache-2.0", "name": "x\n---", "link": "https://example.com/LICENSE"})
    {'id': 'apache-2.0', 'link': 'https://example.com/LICENSE'}
    """
    forms = {"id": _IDENTIFIER, "name": _IDENTIFIER, "link": _LINK}
    found = {name: told[name] for name, form in forms.items() if form.fullmatch(str(told.get(name) or ""))}
    return found if "id" in found else None
