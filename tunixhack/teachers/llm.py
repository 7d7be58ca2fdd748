"""`ReasoningLLM`: the class that a domain subclasses to define how its questions are put to a teacher."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset

from tunixhack._util.ids import request_key
from tunixhack.formats import user_message
from tunixhack.replies.choices import choices_of, match_choices
from tunixhack.steps.parse import read_choice
from tunixhack.teachers.trace_prompts import Messages, with_system, with_trace
from tunixhack.teachers.transport._curator import HardenedLLM
from tunixhack.teachers.wordings import Wording, wording_of


class ReasoningLLM(HardenedLLM):
    """A ``curator.LLM`` that asks for a trace and an answer, and returns one row for each choice.

    A domain sets ``system``, overrides `prompt` where the teacher is told more than that and the question, and
    `trace_of` if it guides some rows only. Both must be pure: the same row gives the same messages, since the messages
    decide whether a stored answer still answers the question (contract 5).

    Args:
        model_name: the model as the server knows it.
        trace: native, written or guided; see `tunixhack.teachers.trace_prompts`.
        system_prompt: added to the system message.
        system: the system message in place of the domain's own.
        **options: ``backend_params`` and ``generation_params`` as Curator takes them.

    Example:
        A domain, and its use as a plain Curator LLM against a server on this machine:

            class Riddles(ReasoningLLM):
                system = "You solve riddles. Say what each word can mean besides the obvious."

            riddles = Riddles("qwen3-14b", backend_params={"base_url": "http://127.0.0.1:1234/v1"})
            riddles([{"question": "What has keys but no locks?"}]).dataset["answer"]
    """

    system: str | None = None
    """The domain's system message; None for none."""
    wordings: Sequence[Wording] = ()
    """Phrasings of which one is drawn for each question; a build sets those of its recipe."""

    def __init__(
        self,
        model_name: str,
        *,
        trace: str = "written",
        system_prompt: str | None = None,
        system: str | None = None,
        **options: Any,
    ) -> None:
        """Prepare the calls; nothing is sent yet."""
        super().__init__(model_name, **options)
        self.trace = trace
        self.system_prompt = system_prompt
        self._own_system = system

    def prompt(self, row: dict[str, Any]) -> str | Sequence[Mapping[str, str]]:
        """Return the messages for one question row, without anything about traces or formats.

        By default, these are the domain's system message, and the question with its context as the student sees them.
        """
        task = {"role": "user", "content": user_message(row["question"], row.get("context"))}
        return [task] if self.system is None else [{"role": "system", "content": self.system}, task]

    def trace_of(self, row: dict[str, Any]) -> str:
        """Return the kind of trace to ask of one row; a domain that guides only some of its questions overrides it."""
        return self.trace

    def render(self, row: dict[str, Any]) -> Messages:
        """Return the messages as sent: the domain's, with what the trace needs."""
        asked = self.prompt(row)
        if self._own_system is not None:
            asked = _with_own_system(asked, self._own_system)
        wording = wording_of(row, self.wordings)
        if wording is not None:
            asked = wording.put(_listed(asked))
        messages = with_trace(asked, self.trace_of(row), row, wording.format if wording else None)
        return with_system(messages, self.system_prompt) if self.system_prompt else messages

    def parse(self, row: dict[str, Any], response: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Turn a completion into one row per choice: the question's columns and sample, reasoning, answer, problem."""
        rows, trace, choices = [], self.trace_of(row), choices_of(response)
        for sample, place in match_choices(choices, len(choices)):
            choice = choices[place] if isinstance(choices[place], dict) else {}
            parsed, finish = read_choice(choice, trace), choice.get("finish_reason")
            rows.append(
                {
                    **row,
                    "trace": trace,
                    "sample": sample,
                    "reasoning": parsed.reasoning,
                    "answer": parsed.answer,
                    "problem": parsed.problem,
                    "teacher": self.model_name,
                    "finish_reason": finish if isinstance(finish, str) else None,
                }
            )
        return rows

    def request_keys(self, rows: Dataset) -> list[str]:
        """Identify what is asked for each row; Curator goes on in the folder of equal keys only."""
        endpoint = self._request_processor.new_state().endpoint
        common = dict(self.prompt_formatter.generation_params)
        return [
            request_key(
                {"url": endpoint.url},
                self.model_name,
                self.render(row),
                common | json.loads(row.get("generation_params") or "{}"),
            )
            for row in rows
        ]


def _with_own_system(messages: str | Sequence[Mapping[str, str]], system: str) -> list[Mapping[str, str]]:
    """Put another system message in place of the domain's."""
    return [{"role": "system", "content": system}, *(one for one in _listed(messages) if one["role"] != "system")]


def _listed(messages: str | Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    return [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)


class MessagesLLM(HardenedLLM):
    """An LLM whose rows carry rendered ``messages`` as JSON; the sender of batches uses it."""

    def render(self, row: dict[str, Any]) -> Messages:
        """Return the messages that the row carries."""
        messages: Messages = json.loads(row["messages"])
        return messages

    def parse(self, row: dict[str, Any], response: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return nothing: the engine reads the journal."""
        return []
