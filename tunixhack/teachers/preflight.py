"""The preflight: what a teacher can do is found out with three tiny requests, before anything is paid for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunixhack.answers.parsing import read_choice
from tunixhack.errors import UserError
from tunixhack.teachers import counting
from tunixhack.teachers.http import Refused, Say, post_json
from tunixhack.teachers.teacher import Capabilities, Teacher
from tunixhack.teachers.wire import Endpoint

SEEDS = (11, 4242, 77007)
"""Three, since a choice can come out differently when the server computes it beside others."""
TINY = 12
THINKING = 1024
"""Tokens in which a thinking model shows its trace on a question that needs none."""


def examine(
    endpoint: Endpoint, teacher: Teacher, trace: str, longest: Sequence[Mapping[str, str]], say: Say
) -> Capabilities:
    """Ask a server what it can do.

    Args:
        endpoint: where it answers.
        teacher: who it is.
        trace: a native one has to be seen.
        longest: the longest messages that will be sent, to see that they fit.
        say: takes sentences for the user.

    Raises:
        UserError: the prompt and the answer's limit do not fit the context, or no native trace is to be seen.
    """
    several = min(2, teacher.most_choices)
    first, teacher = _first(endpoint, teacher, longest, several, say)
    ask = _asker(endpoint, teacher, say)
    _check_context(first, teacher)
    one = several > 1 and _counts_one_choice(first)
    tokenizer = _tokenizer(endpoint, say) if one else None
    if trace == "native":
        _check_trace(ask, endpoint)
    if several == 1:
        return Capabilities(block=1, seeded=teacher.seeded)
    if teacher.seeded:
        together = any(_consecutive(ask, longest, seed) for seed in SEEDS)
    else:  # two that are the same are no two samples, unless by chance
        together = _differ(first) or any(_differ(ask(longest, seed=0, n=2, limit=TINY)) for _ in SEEDS[1:])
    block = teacher.most_choices if together else 1
    return Capabilities(block=block, seeded=teacher.seeded, counts_one_choice=one, tokenizer=tokenizer)


def see_that_it_fits(endpoint: Endpoint, teacher: Teacher, messages: Sequence[Mapping[str, str]], say: Say) -> None:
    """See that longer messages fit than those of `examine`, by one tiny request where the server tells its context.

    Raises:
        UserError: they do not fit.
    """
    if teacher.context:
        limit = THINKING if teacher.hidden_trace else TINY
        _check_context(_asker(endpoint, teacher, say)(messages, seed=SEEDS[0], n=1, limit=limit), teacher)


def _asker(endpoint: Endpoint, teacher: Teacher, say: Say) -> Callable[..., dict[str, Any]]:
    def ask(messages: Sequence[Mapping[str, str]], *, seed: int, n: int, limit: int) -> dict[str, Any]:
        body = dict(teacher.sampling) | {
            "model": endpoint.model,
            "messages": [dict(message) for message in messages],
            teacher.limit_name: limit,
        }
        body |= {"seed": seed} if teacher.seeded else {}
        body |= {"n": n} if n > 1 else {}
        url = f"{endpoint.url}/chat/completions"
        answer = post_json(url, endpoint.headers, body, endpoint.timeout, say, endpoint.key_variable)
        if not isinstance(answer, dict) or not isinstance(answer.get("choices"), list) or not answer["choices"]:
            raise UserError(f"{endpoint.url} answers without choices: it is not an OpenAI-compatible chat server")
        return answer

    return ask


def _first(
    endpoint: Endpoint, teacher: Teacher, longest: Sequence[Mapping[str, str]], several: int, say: Say
) -> tuple[dict[str, Any], Teacher]:
    """Ask the first question; a server that refuses it for its seed is asked again, and from then on, without."""

    def ask(whom: Teacher) -> dict[str, Any]:
        # thinking that is not shown counts, too, and what is cut within it says nothing
        limit = THINKING if teacher.hidden_trace else TINY
        return _asker(endpoint, whom, say)(longest, seed=SEEDS[0], n=several, limit=limit)

    try:
        return ask(teacher), teacher
    except Refused as error:
        if not teacher.seeded or "seed" not in str(error).lower():
            raise
        unseeded = replace(teacher, seeded=False)
        answer = ask(unseeded)
        say(f"{teacher.name} takes no seed, and is sent none ({error})")
        return answer, unseeded


def _check_context(answer: Mapping[str, Any], teacher: Teacher) -> None:
    prompt = (answer.get("usage") or {}).get("prompt_tokens")
    limit = teacher.limit
    if teacher.context and isinstance(prompt, int) and isinstance(limit, int) and prompt + limit > teacher.context:
        raise UserError(
            f"the longest prompt has {prompt:,} tokens, and with --max-tokens {limit:,} that does not fit "
            f"the {teacher.context:,} tokens of {teacher.name}: lower --max-tokens to {teacher.context - prompt:,} "
            f"or raise {teacher.context_setting}"
        )


def _check_trace(ask: Callable[..., dict[str, Any]], endpoint: Endpoint) -> None:
    question = [{"role": "user", "content": "How many minutes are in three hours?"}]
    choice = ask(question, seed=SEEDS[0], n=1, limit=THINKING)["choices"][0]
    seen = read_choice(choice, "native")
    if seen.reasoning is None and seen.problem in ("no_trace", "empty", "truncated"):
        raise UserError(
            f"{endpoint.model} at {endpoint.url} shows no thinking of its own: use --trace written, which asks for it"
        )


def _consecutive(ask: Callable[..., dict[str, Any]], messages: Sequence[Mapping[str, str]], seed: int) -> bool:
    """Whether the second of two choices of a seed is the one choice of the next seed."""
    both = [_text(choice) for choice in ask(messages, seed=seed, n=2, limit=TINY)["choices"]]
    if len(both) < 2 or both[0] == both[1]:
        return False
    return both[1] == _text(ask(messages, seed=seed + 1, n=1, limit=TINY)["choices"][0])


def _differ(answer: Mapping[str, Any]) -> bool:
    """Whether two choices came that are not the same."""
    return len({_text(choice) for choice in answer["choices"]}) > 1


def _counts_one_choice(answer: Mapping[str, Any]) -> bool:
    """Whether two choices that both ran into the limit are told as the tokens of one, as llama.cpp does."""
    told = (answer.get("usage") or {}).get("completion_tokens")
    full = [choice for choice in answer["choices"] if choice.get("finish_reason") == "length"]
    return isinstance(told, int) and len(full) == 2 and told <= TINY


def _tokenizer(endpoint: Endpoint, say: Say) -> str | None:
    """Return where the server counts tokens, if it does, as llama.cpp's."""
    url = counting.tokenizer_of(endpoint.url)
    try:
        answer = post_json(url, endpoint.headers, counting.question(counting.TRIAL), counting.SECONDS, say)
    except UserError:
        return None
    return url if counting.counts(answer, len(counting.TRIAL)) else None


def _text(choice: Mapping[str, Any]) -> str:
    message = choice.get("message") or {}
    return "".join(str(message.get(part) or "") for part in ("reasoning_content", "reasoning", "content"))
