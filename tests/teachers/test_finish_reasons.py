"""How an answer ended: no word that is unknown passes for a good end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack.teachers.finish_reasons import Ended, ended


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        ("stop", "whole"),  # OpenAI and all that speak as it does
        ("eos", "whole"),  # Together AI
        ("eos_token", "whole"),  # text-generation-inference
        ("end_turn", "whole"),  # Anthropic
        ("stop_sequence", "whole"),
        ("STOP", "whole"),  # Gemini
        ("FINISH_REASON_UNSPECIFIED", "whole"),
        ("COMPLETE", "whole"),  # Cohere
        ("eosFound", "whole"),  # LM Studio
        ("stopStringFound", "whole"),
        ("Stop", "whole"),
        (None, "whole"),
        ("", "whole"),
        ("null", "whole"),
        ("length", "cut"),
        ("MAX_TOKENS", "cut"),
        ("max_tokens", "cut"),
        ("max-tokens", "cut"),
        ("model_length", "cut"),  # Mistral
        ("maxPredictedTokensReached", "cut"),
        ("contextLengthReached", "cut"),
        ("model_context_window_exceeded", "cut"),
        ("content_filter", "filtered"),
        ("SAFETY", "filtered"),
        ("RECITATION", "filtered"),
        ("PROHIBITED_CONTENT", "filtered"),
        ("refusal", "filtered"),
        ("ERROR_TOXIC", "filtered"),
        ("guardrail_intervened", "filtered"),  # Bedrock
        ("sensitive", "filtered"),  # Zhipu
        ("error", "failed"),  # OpenRouter, Mistral
        ("ERROR", "failed"),
        ("abort", "failed"),  # vLLM, SGLang
        ("insufficient_system_resource", "failed"),  # DeepSeek
        ("network_error", "failed"),
        ("timeout", "failed"),
        ("tool_calls", "failed"),
        ("function_call", "failed"),
        ("pause_turn", "failed"),
        ("userStopped", "failed"),
        ("modelUnloaded", "failed"),
        ("load", "failed"),  # Ollama
        ("OTHER", "failed"),
        ("nobody has heard of it", "failed"),
        (0, "failed"),
        (True, "failed"),
        ({"type": "stop"}, "failed"),
        (["stop"], "failed"),
    ],
)
def test_the_words_of_providers_and_servers(reason: Any, verdict: Ended):
    assert ended(reason) == verdict


@given(st.text())
@settings(deadline=None)
def test_any_word_has_a_verdict_and_spaces_around_it_change_none(word: str):
    assert ended(word) == ended(f" {word} ")
