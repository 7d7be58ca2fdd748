"""How an answer ended: no word that is unknown passes for a good end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack.replies.finish_reasons import FinishKind, finish_kind


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        ("stop", "complete"),  # OpenAI and all that speak as it does
        ("eos", "complete"),  # Together AI
        ("eos_token", "complete"),  # text-generation-inference
        ("end_turn", "complete"),  # Anthropic
        ("stop_sequence", "complete"),
        ("STOP", "complete"),  # Gemini
        ("FINISH_REASON_UNSPECIFIED", "complete"),
        ("COMPLETE", "complete"),  # Cohere
        ("eosFound", "complete"),  # LM Studio
        ("stopStringFound", "complete"),
        ("Stop", "complete"),
        (None, "complete"),
        ("", "complete"),
        ("null", "complete"),
        ("length", "truncated"),
        ("MAX_TOKENS", "truncated"),
        ("max_tokens", "truncated"),
        ("max-tokens", "truncated"),
        ("model_length", "truncated"),  # Mistral
        ("maxPredictedTokensReached", "truncated"),
        ("contextLengthReached", "truncated"),
        ("model_context_window_exceeded", "truncated"),
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
def test_the_words_of_providers_and_servers(reason: Any, verdict: FinishKind):
    assert finish_kind(reason) == verdict


@given(st.text())
@settings(deadline=None)
def test_any_word_has_a_verdict_and_spaces_around_it_change_none(word: str):
    assert finish_kind(word) == finish_kind(f" {word} ")
