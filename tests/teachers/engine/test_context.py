"""A context that is known only once the model is loaded, and prompts that a server cuts to it without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.builds import build, small_recipe, write_questions
from tests.teachers.odd_server import completion, odd_server
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.runs.run import Run
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.teachers.registry.presets import PRESETS
from tunixhack.teachers.transport import http


class Cutting:
    """Ollama: loads a model when it is first asked, has 4,096 tokens, and cuts a longer prompt without a word."""

    context = 4096

    silent_once_asked = False

    def __init__(self, before: int | None = None) -> None:
        self.told = before
        self.seen: list[int] = []

    def get(self, path: str) -> tuple[int, Any]:
        if self.silent_once_asked and self.seen:
            return 500, {}
        model = {"name": "tiny:latest", "digest": "ab", "details": {"quantization_level": "Q4_0"}}
        if path == "/api/tags":
            return 200, {"models": [model]}
        return 200, {"models": [model | {"context_length": self.told}] if self.told else []}

    def reply(self, body: dict[str, Any], headers: Any) -> tuple[int, Any]:
        self.told = self.context
        self.seen.append(sum(len(message["content"]) for message in body["messages"]) // 4)
        usage = {"prompt_tokens": min(self.seen[-1], self.context - 1), "completion_tokens": 20}
        return 200, completion(f"<reasoning>{body['seed']}</reasoning><answer>done</answer>", usage=usage)


Start = Callable[[], Run]


@contextmanager
def starting(cutting: Cutting, folder: Path, *lengths: int, **changes: Any) -> Iterator[Start]:
    """Serve it as Ollama, with questions of so many words, and return what starts a build."""
    rows = [{"question": f"Summarise {number}: {'word ' * length}"} for number, length in enumerate(lengths)]
    recipe = small_recipe(write_questions(folder / "q.jsonl", rows), steps=(Sample(), Parse()), samples=2, **changes)
    with odd_server(cutting.reply, get=cutting.get) as server, pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "ollama", replace(PRESETS["ollama"], url=server.url, url_variable=None))
        yield lambda: build(recipe, "ollama/tiny", folder / "run", questions=None)


@pytest.mark.parametrize("before", [None, 32_768, 4096])
def test_a_prompt_that_fills_the_context_is_distrusted_at_the_first_start_already(before: int | None, tmp_path: Path):
    """It was another one before the first reply, or was not known."""
    with starting(Cutting(before), tmp_path, *[6000] * 6, max_tokens=500) as start:
        for _ in range(2):
            with pytest.raises(UserError, match=r"fills the 4,096 tokens of ollama/tiny.*OLLAMA_CONTEXT_LENGTH"):
                start()


def test_a_limit_that_does_not_fit_what_is_known_after_the_first_reply_is_told(tmp_path: Path):
    told = "with --max-tokens 4,096 that does not fit the 4,096 tokens of ollama/tiny"
    with starting(Cutting(), tmp_path, 10, 20, max_tokens=4096) as start, pytest.raises(UserError, match=told):
        start()


def test_an_answer_to_a_prompt_that_was_cut_is_no_answer_to_its_question(tmp_path: Path):
    """One long question among short ones, which the preflight does not try."""
    told = r"question [0-9a-f]{16}: its prompt fills the 4,096 tokens of the context"
    with starting(Cutting(), tmp_path, *[10] * 5, 6000, max_tokens=500) as start:
        with pytest.raises(TeacherFailed, match=told):
            start()
        run = Run.load(tmp_path / "run")
        assert run.train.height == 10
        assert run.store.answers()["prompt_tokens"].max() < 4000
        assert start().rejected["reason"].to_list() == ["question_too_long"], "now that the context is known"


def test_a_server_that_does_not_tell_again_is_believed_what_it_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "PAUSES", ())
    cutting = Cutting(8192)
    cutting.silent_once_asked = True
    with starting(cutting, tmp_path, 10, 20, max_tokens=500) as start:
        assert start().train.height == 4
