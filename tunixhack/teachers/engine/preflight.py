"""The preflight: three tiny requests that find out what a teacher can do, before anything is paid for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunixhack.errors import UserError
from tunixhack.replies import token_usage
from tunixhack.replies.choices import choices_of, generated_text, match_choices, prompt_was_truncated, usage_of
from tunixhack.replies.finish_reasons import finish_kind
from tunixhack.replies.token_usage import token_count
from tunixhack.steps.request import SCHEMA
from tunixhack.teachers.base import Capabilities, Teacher
from tunixhack.teachers.trace_prompts import no_thinking
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.http import Refused, Say, post_json

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
        teacher: the teacher that is examined.
        trace: a native one has to be seen.
        longest: the longest messages that will be sent, to see that they fit.
        say: takes sentences for the user.

    Raises:
        UserError: the prompt and the answer's limit do not fit the context, or no native trace is to be seen.
    """
    several = min(2, teacher.most_choices)
    first, teacher = _first(endpoint, teacher, longest, several, say)
    # the first reply has loaded the model, where it was not, and maybe with another context than it had before
    teacher = replace(teacher, context=teacher.context_now() or teacher.context)
    ask = _asker(endpoint, teacher, say)
    _check_context(first, teacher)
    one = several > 1 and _counts_one_choice(first)
    tokenizer = _tokenizer(endpoint, say) if one else None
    if trace == "native":
        _check_trace(ask, endpoint)
    seen: dict[str, Any] = {"seeded": teacher.seeded, "context": teacher.context, "model": first.model}
    if several == 1:
        return Capabilities(block=1, **seen)
    if teacher.seeded:
        together = any(_consecutive(ask, longest, seed) for seed in SEEDS)
    else:  # two that are the same are no two samples, unless by chance
        together = _differ(first) or any(_differ(ask(longest, seed=0, n=2, limit=TINY)) for _ in SEEDS[1:])
    block = teacher.most_choices if together else 1
    return Capabilities(block=block, counts_one_choice=one, tokenizer=tokenizer, **seen)


def examine_all(
    endpoint: Endpoint, teacher: Teacher, trace: str, longest: Sequence[Mapping[str, str]], say: Say
) -> Capabilities:
    """Ask each of several servers what it can do; returns what all of them can.

    Copies of an embedded server are equal, and one of them stands for all. See `examine`.
    """
    if endpoint.addresses_now is None:
        return examine(endpoint, teacher, trace, longest, say)
    found = [
        examine(replace(endpoint, url=address, headers=endpoint.headers_of(address)), teacher, trace, longest, say)
        for address in endpoint.addresses
    ]
    contexts = [one.context for one in found if one.context]
    return replace(
        found[0],
        block=min(one.block for one in found),
        seeded=all(one.seeded for one in found),
        counts_one_choice=any(one.counts_one_choice for one in found),
        tokenizer=next((one.tokenizer for one in found if one.tokenizer), None),
        context=min(contexts) if contexts else None,
    )


def check_fit(endpoint: Endpoint, teacher: Teacher, messages: Sequence[Mapping[str, str]], say: Say) -> None:
    """Check that messages longer than those of `examine` fit, by one tiny request where the server reports its context.

    Raises:
        UserError: they do not fit.
    """
    if teacher.context:
        limit = THINKING if teacher.hidden_trace else TINY
        _check_context(_asker(endpoint, teacher, say)(messages, seed=SEEDS[0], n=1, limit=limit), teacher)


def takes_schema(
    endpoint: Endpoint,
    teacher: Teacher,
    messages: Sequence[Mapping[str, str]],
    parameters: Mapping[str, Any],
    say: Say,
) -> bool:
    """Tell whether a server takes a request with a JSON schema, by a tiny one of it; says so where it does not.

    Args:
        endpoint: where it answers.
        teacher: the teacher that will be asked.
        messages: of a request with a schema.
        parameters: of that request over the teacher's, the schema as `SCHEMA` among them.
        say: takes a sentence for the user.
    """

    def ask(own: Mapping[str, Any]) -> None:
        sampling = {name: value for name, value in {**teacher.sampling, **own}.items() if value is not None}
        limit = THINKING if teacher.hidden_trace else TINY
        _asker(endpoint, replace(teacher, sampling=sampling), say)(messages, seed=SEEDS[0], n=1, limit=limit)

    try:
        ask(parameters)
    except Refused as error:
        try:
            ask({name: value for name, value in parameters.items() if name != SCHEMA})
        except Refused:  # not for the schema, then: what it is for is told when it is asked in earnest
            return True
        say(f"{teacher.name} takes no JSON schema, and is asked without one ({error})")
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class _Reply:
    """The reply to a tiny request."""

    choices: Sequence[Mapping[str, Any]]
    """Its choices, at least one, in their order; what is no choice is left out."""
    usage: Mapping[str, Any]
    model: str | None
    """The model that answered, as the server says."""


_Ask = Callable[..., _Reply]


def _asker(endpoint: Endpoint, teacher: Teacher, say: Say) -> _Ask:
    def ask(messages: Sequence[Mapping[str, str]], *, seed: int, n: int, limit: int) -> _Reply:
        body = dict(teacher.sampling) | {
            "model": endpoint.model,
            "messages": [dict(message) for message in messages],
            teacher.limit_name: limit,
        }
        body |= {"seed": seed} if teacher.seeded else {}
        body |= {"n": n} if n > 1 else {}
        url = f"{endpoint.url}/chat/completions"
        answer = post_json(url, endpoint.headers, body, endpoint.timeout, say, endpoint.key_variable)
        sent = choices_of(answer)
        choices = [sent[place] for _, place in match_choices(sent, n) if isinstance(sent[place], dict)]
        if not choices:
            raise UserError(f"{endpoint.url} answers without choices: it is not an OpenAI-compatible chat server")
        model = answer.get("model")
        return _Reply(choices=choices, usage=usage_of(answer), model=model if isinstance(model, str) else None)

    return ask


def _first(
    endpoint: Endpoint, teacher: Teacher, longest: Sequence[Mapping[str, str]], several: int, say: Say
) -> tuple[_Reply, Teacher]:
    """Ask the first question; a server that refuses it for its seed is asked again, and from then on, without."""

    def ask(asked: Teacher) -> _Reply:
        # thinking that is not shown counts, too, and what is cut within it says nothing
        limit = THINKING if teacher.hidden_trace else TINY
        return _asker(endpoint, asked, say)(longest, seed=SEEDS[0], n=several, limit=limit)

    try:
        return ask(teacher), teacher
    except Refused as error:
        if not teacher.seeded or "seed" not in str(error).lower():
            raise
        unseeded = replace(teacher, seeded=False)
        reply = ask(unseeded)
        say(f"{teacher.name} takes no seed, and is sent none ({error})")
        return reply, unseeded


def _check_context(reply: _Reply, teacher: Teacher) -> None:
    prompt, limit = token_count(reply.usage.get("prompt_tokens")), teacher.limit
    if not teacher.context or prompt is None:
        return
    if prompt_was_truncated(reply.usage, teacher.context):
        raise UserError(
            f"the longest prompt fills the {teacher.context:,} tokens of {teacher.name}, so that it was probably cut: "
            f"raise {teacher.context_setting}, or leave the longest questions out"
        )
    room = teacher.context - prompt
    if isinstance(limit, int) and limit > room:
        lower = f"lower --max-tokens to {room:,} or " if room > 0 else ""
        raise UserError(
            f"the longest prompt has {prompt:,} tokens, and with --max-tokens {limit:,} that does not fit "
            f"the {teacher.context:,} tokens of {teacher.name}: {lower}raise {teacher.context_setting}"
        )


def _check_trace(ask: _Ask, endpoint: Endpoint) -> None:
    question = [{"role": "user", "content": "How many minutes are in three hours?"}]
    choice = ask(question, seed=SEEDS[0], n=1, limit=THINKING).choices[0]
    wrong = no_thinking(choice)
    if wrong is not None:
        raise UserError(f"{endpoint.model} at {endpoint.url} {wrong}")


def _consecutive(ask: _Ask, messages: Sequence[Mapping[str, str]], seed: int) -> bool:
    """Return whether the second of two choices of a seed is the one choice of the next seed."""
    both = [generated_text(choice) for choice in ask(messages, seed=seed, n=2, limit=TINY).choices]
    if len(both) < 2 or both[0] == both[1]:
        return False
    return both[1] == generated_text(ask(messages, seed=seed + 1, n=1, limit=TINY).choices[0])


def _differ(reply: _Reply) -> bool:
    """Return whether two choices came that are not the same."""
    return len({generated_text(choice) for choice in reply.choices}) > 1


def _counts_one_choice(reply: _Reply) -> bool:
    """Return whether two choices that both ran into the limit are reported with the tokens of one, as by llama.cpp."""
    reported = token_count(reply.usage.get("completion_tokens"))
    full = [choice for choice in reply.choices if finish_kind(choice.get("finish_reason")) == "truncated"]
    return reported is not None and len(full) == 2 and reported <= TINY


def _tokenizer(endpoint: Endpoint, say: Say) -> str | None:
    """Return the address at which the server counts tokens; None where it has none."""
    url = token_usage.tokenizer_url(endpoint.url)
    try:
        answer = post_json(url, endpoint.headers, token_usage.request_body(token_usage.TRIAL), token_usage.SECONDS, say)
    except UserError:
        return None
    return url if token_usage.read_counts(answer, len(token_usage.TRIAL)) else None
