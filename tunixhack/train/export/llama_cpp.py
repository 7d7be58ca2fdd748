"""A check that a GGUF file equals the live student: llama.cpp reads it and writes on, and its tokens are compared.

Three things could go wrong, and each has its own sentence: the chat template, the tokenizer, the weights. For the
last, llama.cpp writes 20 tokens greedily, and the live model looks at them all at once: where each of them is what it
finds most likely after those before, it would have written the same itself.
"""

from __future__ import annotations

import importlib.util
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from tunixhack.errors import UserError
from tunixhack.teachers.local.server_process import EmbeddedServer
from tunixhack.train.data.chat import Renderer
from tunixhack.train.export.check import logits, states
from tunixhack.train.export.folder import Ends
from tunixhack.train.models.family import Family

TOKENS = 20
"""Written to each question."""
NEEDED = 0.8
"""Share of the questions whose tokens must all be equal; F16 and llama.cpp's own order of sums flip a near tie now and
then."""
TIMEOUT = 600
"""Seconds for one answer of the server."""

_LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy between this machine and itself


@dataclass(frozen=True)
class Written:
    """The comparison of what llama.cpp wrote with the live student."""

    equal: int
    """Questions whose tokens were all the same."""
    questions: int
    agreed: int
    """Tokens that were the same, those before the first other one counted."""
    tokens: int
    """Tokens that llama.cpp wrote."""

    @property
    def enough(self) -> bool:
        """True if nothing but rounding tells the two apart."""
        return self.equal >= NEEDED * self.questions


def available() -> bool:
    """Tell whether llama.cpp is installed, so that it can be checked with."""
    return importlib.util.find_spec("xllamacpp") is not None


def compare_written(
    path: Path, family: Family, model: Any, renderer: Renderer, ends: Ends, questions: Sequence[str], mesh: Mesh | None
) -> Written:
    """Compare what llama.cpp writes from a GGUF file with what the live student finds most likely.

    Args:
        path: the GGUF file.
        family: of the student.
        model: the student.
        renderer: what it was trained under.
        ends: its two end tokens.
        questions: asked one by one.
        mesh: that the model lies on; None for the first device.

    Raises:
        UserError: llama.cpp cannot load the file, or its chat template or tokenizer gives other tokens than ours.
    """
    prompts = [renderer.prompt([{"role": "user", "content": question}]) for question in questions]
    with EmbeddedServer(path, slots=1, context=max(map(len, prompts)) + TOKENS + 8) as server:
        root = server.url.removesuffix("/v1")
        for question, prompt in zip(questions, prompts, strict=True):
            _check_prompt(root, question, prompt)
        replies = [_write(root, prompt) for prompt in prompts]
    hidden = states(family, model, [[*prompt, *reply] for prompt, reply in zip(prompts, replies, strict=True)], mesh)
    equal = agreed = 0
    for number, (prompt, reply) in enumerate(zip(prompts, replies, strict=True)):
        # the last token of the prompt says the first of the reply
        places = hidden[number, len(prompt) - 1 : len(prompt) + len(reply)]
        likely = logits(family, model, places).argmax(-1).tolist()
        same = 0
        while same < len(reply) and likely[same] == reply[same]:
            same += 1
        agreed += same
        # a shorter reply came to its end, which the server may have counted as its last token, or not
        ended = len(reply) == TOKENS or reply[-1:] in ([end] for end in ends.ids) or likely[same] in ends.ids
        equal += same == len(reply) and ended
    return Written(equal=equal, questions=len(questions), agreed=agreed, tokens=sum(map(len, replies)))


def _check_prompt(root: str, question: str, prompt: list[int]) -> None:
    messages = [{"role": "user", "content": question}]
    text = _ask(root, "apply-template", {"messages": messages})["prompt"]
    # llama.cpp adds the start token itself, once, also where a template has written it
    tokens = _ask(root, "tokenize", {"content": text, "add_special": False, "parse_special": True})["tokens"]
    if tokens and prompt and tokens[0] != prompt[0]:
        tokens = [prompt[0], *tokens]
    if tokens != prompt:
        raise UserError(
            f"llama.cpp makes other tokens of the question {question!r} than the student was trained on: {tokens[:40]} "
            f"instead of {prompt[:40]}, from {text[:200]!r}"
        )


def _write(root: str, prompt: list[int]) -> list[int]:
    asked = {"prompt": prompt, "n_predict": TOKENS, "temperature": 0, "top_k": 1, "return_tokens": True}
    answer = _ask(root, "completion", asked | {"cache_prompt": False, "stream": False})
    tokens: list[int] = answer["tokens"]
    return tokens[:TOKENS]


def _ask(root: str, verb: str, content: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{root}/{verb}", json.dumps(content).encode(), headers={"Content-Type": "application/json"}
    )
    try:
        with _LOCAL.open(request, timeout=TIMEOUT) as response:
            answer: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        raise UserError(f"llama.cpp refuses the exported file at {verb}: {error.read().decode()[:400]}") from error
    except OSError as error:
        raise UserError(f"llama.cpp stopped while the exported file was checked ({error}): see its memory") from error
    return answer
