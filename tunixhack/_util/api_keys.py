"""Sources of API keys: the environment, then Kaggle's secrets, then Colab's. A key goes into a header only."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

KEY_VARIABLE = "TUNIXHACK_API_KEY"
"""The key for ``--teacher http://…``. Not OPENAI_API_KEY: a key is not sent to an address it was not made for."""


def find_key(variable: str) -> str | None:
    """Return a secret by its name, or None where no source has it.

    Args:
        variable: the environment variable, and the name of the secret on Kaggle and Colab.
    """
    found = os.environ.get(variable) or _kaggle(variable) or _colab(variable)
    return found.strip() or None if found else None  # pasted keys end in a newline, which no header can carry


def _kaggle(name: str) -> str | None:
    secrets = _module("kaggle_secrets")
    if secrets is None:
        return None
    try:
        return str(secrets.UserSecretsClient().get_secret(name)) or None
    except Exception:  # noqa: BLE001  # whatever it raises for a secret that is not there or not attached
        return None


def _colab(name: str) -> str | None:
    colab = _module("google.colab")
    if colab is None:
        return None
    try:
        return str(colab.userdata.get(name)) or None
    except Exception:  # noqa: BLE001  # SecretNotFoundError, NotebookAccessError: classes that only Colab has
        return None


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None
