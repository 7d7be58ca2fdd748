"""Teachers by name: one preset for each server, with what is known before it is asked.

``--teacher NAME/MODEL`` resolves through `PRESETS`. What stands here was read in the providers' documentation and in
reports of their users; none of it was tried live. docs/teachers.md shows the table, with where each fact is from. To
change a row in a script or a test, put ``dataclasses.replace(PRESETS["ollama"], url=…)`` in its place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tunixhack._util.api_keys import KEY_VARIABLE
from tunixhack.errors import UserError
from tunixhack.teachers.registry.discovery import (
    Discover,
    discover_any,
    discover_llamacpp,
    discover_lmstudio,
    discover_ollama,
    discover_openai,
)

OPENTHOUGHTS = {"temperature": 1.0}
"""Sampling parameters of OpenThoughts (its issue 31)."""
TEMPLATE_WITHOUT_THINKING = {"chat_template_kwargs": {"enable_thinking": False}}
"""What vLLM and llama.cpp hand to a model's chat template; one that knows no such switch, as of models that do not
think, leaves it aside."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Facts about a server that are known by its name.

    Nothing in it but ``url``, ``sampling``, ``unthinking``, ``thinking_off`` and ``limit`` is in a request_key.

    A preset with ``discover`` is a server of the user's own, which lists its models at no cost; one without is a
    provider that is paid.
    """

    title: str
    """The name as its makers write it."""
    url: str
    """The OpenAI-compatible base address, ending before ``/chat/completions``."""
    key: str
    """The variable that has the key."""
    key_needed: bool = True
    concurrency: int
    """Requests in flight at once."""
    most_choices: int
    """The largest ``n`` that is asked for; the preflight sees whether more than one is of use."""
    trace: str | None
    """The place of a thinking model's trace in a reply; None where it is hidden."""
    sampling: Mapping[str, Any] = field(default_factory=lambda: OPENTHOUGHTS)
    """Sampling parameters, unless the user sets others."""
    unthinking: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that are added for written traces: they switch off thinking, which would be thrown away."""
    thinking_off: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that switch off thinking for requests that want none, besides those of ``unthinking``. Written traces
    are asked for without them, as they always were."""
    limit: str = "max_tokens"
    """The name of the parameter that limits an answer."""
    seeded: bool = True
    """True if requests carry a ``seed``."""
    discover: Discover | None = None
    load: str | None = None
    """Instructions for loading a model that is there, but not loaded; None where the server loads it when asked."""
    context_setting: str = "the server's context length"
    """The setting by which the user gets more context."""
    url_variable: str | None = None
    """The server's own variable for where it listens."""
    windows_setting: str | None = None
    """The setting that the user switches on where the server runs on the Windows around a WSL2. Where it is given, the
    server is looked for there, too."""
    batches: bool = False
    """True if it answers whole batches within a day at half the price, in the form that OpenAI gave them."""
    priced_as: str | None = None
    """The provider's name in litellm's table of prices; None for a server of the user's own."""

    @property
    def local(self) -> bool:
        """Return whether it is a server of the user's own."""
        return self.discover is not None

    def address(self) -> str:
        """Return the base address: the one in the server's own variable where that is set.

        Raises:
            UserError: the variable holds no address.
        """
        value = os.environ.get(self.url_variable, "").strip() if self.url_variable else ""
        return _from_host(value, self) if value else self.url


def _from_host(value: str, preset: Preset) -> str:
    """Read HOST, HOST:PORT, :PORT or an address; where a server listens everywhere, it is asked on this machine."""
    usual = urlsplit(preset.url)
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname or usual.hostname or "", parts.port
    except ValueError:
        raise UserError(f"{preset.url_variable} holds no address: it is HOST:PORT") from None
    if port is None:
        port = usual.port if "://" not in value else None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/').removesuffix('/v1')}/v1"


ANY_SERVER = Preset(
    title="an OpenAI-compatible server",
    url="http://HOST:PORT/v1",
    key=KEY_VARIABLE,
    key_needed=False,
    concurrency=16,
    most_choices=16,
    trace="any of the three",
    discover=discover_any,
)
"""The preset of a server that is named by its address, of which nothing else is known."""

PRESETS: dict[str, Preset] = {
    "lmstudio": Preset(
        title="LM Studio",
        url="http://127.0.0.1:1234/v1",
        key=KEY_VARIABLE,
        key_needed=False,
        concurrency=4,
        most_choices=1,
        trace="<think> tags",
        discover=discover_lmstudio,
        load="load it there, or with `lms load {model} --context-length N`, N for prompt and answer",
        context_setting="the context length in LM Studio's load settings",
        windows_setting='"Serve on Local Network" in the settings of its server',
    ),
    "ollama": Preset(
        title="Ollama",
        url="http://127.0.0.1:11434/v1",
        key=KEY_VARIABLE,
        key_needed=False,
        concurrency=4,
        most_choices=1,
        trace="reasoning",
        discover=discover_ollama,
        context_setting="OLLAMA_CONTEXT_LENGTH for `ollama serve`",
        url_variable="OLLAMA_HOST",
    ),
    "vllm": Preset(
        title="vLLM",
        url="http://127.0.0.1:8000/v1",
        key="VLLM_API_KEY",
        key_needed=False,
        concurrency=64,
        most_choices=16,
        trace="reasoning",
        thinking_off=TEMPLATE_WITHOUT_THINKING,
        discover=discover_openai,
        context_setting="--max-model-len of `vllm serve`",
    ),
    "llamacpp": Preset(
        title="llama.cpp",
        url="http://127.0.0.1:8080/v1",
        key="LLAMA_API_KEY",
        key_needed=False,
        concurrency=16,
        most_choices=16,
        trace="reasoning_content",
        thinking_off=TEMPLATE_WITHOUT_THINKING,
        discover=discover_llamacpp,
        context_setting="--ctx-size of `llama-server`, which its slots share",
    ),
    "openai": Preset(
        title="OpenAI",
        url="https://api.openai.com/v1",
        key="OPENAI_API_KEY",
        priced_as="openai",
        concurrency=32,
        most_choices=1,
        trace=None,
        sampling={},  # its reasoning models refuse a temperature
        limit="max_completion_tokens",
        batches=True,
    ),
    "deepseek": Preset(
        title="DeepSeek",
        url="https://api.deepseek.com/v1",
        key="DEEPSEEK_API_KEY",
        priced_as="deepseek",
        concurrency=32,
        most_choices=1,
        trace="reasoning_content",
        unthinking={"thinking": {"type": "disabled"}},
        seeded=False,
    ),
    "gemini": Preset(
        title="Gemini",
        url="https://generativelanguage.googleapis.com/v1beta/openai",
        key="GEMINI_API_KEY",
        priced_as="gemini",
        concurrency=32,
        most_choices=1,
        trace=None,
        seeded=False,
    ),
    "openrouter": Preset(
        title="OpenRouter",
        url="https://openrouter.ai/api/v1",
        key="OPENROUTER_API_KEY",
        priced_as="openrouter",
        concurrency=32,
        most_choices=1,
        trace="reasoning",
    ),
    "together": Preset(
        title="Together AI",
        url="https://api.together.xyz/v1",
        key="TOGETHER_API_KEY",
        priced_as="together_ai",
        concurrency=32,
        most_choices=1,
        trace="<think> tags",
    ),
    "anthropic": Preset(
        title="Anthropic",
        url="https://api.anthropic.com/v1",
        key="ANTHROPIC_API_KEY",
        priced_as="anthropic",
        concurrency=32,
        most_choices=1,
        trace=None,
        seeded=False,
    ),
}
"""Presets by the name before the slash in ``--teacher``."""
