"""Students and bases as arms: asked as in training, each reply stored under a key that names the weights.

A reply is a function of its question, its own seed and the shape that it is computed in. That shape follows the length
of the prompt alone, so that a kill, another order, a shard or more questions change no reply.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import polars as pl

from tunixhack._util.ids import digest, request_key, sample_seed
from tunixhack._util.progress import Reporter, clock
from tunixhack.evaluate.arms import Arm
from tunixhack.evaluate.brief import FORM, Brief
from tunixhack.evaluate.contamination import learnt_questions
from tunixhack.evaluate.order import Order
from tunixhack.formats import user_message
from tunixhack.runs.answer_store import AnswerStore
from tunixhack.runs.journal import FIELDS
from tunixhack.train.data.chat import LAYOUTS, Message, Rendered
from tunixhack.train.found import FoundStudent
from tunixhack.train.inference.batch_shape import length_bucket, most_rows
from tunixhack.train.inference.format_compliance import StudentReply
from tunixhack.train.inference.generate import MAX_NEW_TOKENS, generate
from tunixhack.train.inference.ready import ready
from tunixhack.train.trained import find_trained

STEP = "sample"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One reply that is wanted of a student."""

    question_id: str
    messages: Sequence[Message]
    sample: int
    key: str
    seed: int


class StudentArm(FoundStudent):
    """A student or a base that can be asked."""

    brief = False
    """Whether it is asked with the domain's brief."""

    @classmethod
    def find(cls, arm: Arm, *, accept_terms: bool, report: Reporter) -> Self:
        """Find a student or base on the disk.

        Raises:
            UserError: it is not there, or has no intact checkpoint.
        """
        if arm.kind == "student":
            return cls.of_training(Path(arm.spec).expanduser(), accept_terms=accept_terms, warn=report.warn)
        if arm.of is not None:
            trained = find_trained(arm.of, accept_terms=accept_terms)
            found = cls(trained.base, trained.settings, None)
        else:
            found = cls.of_base(arm.model, accept_terms=accept_terms, say=report.say)
        found.brief = arm.brief
        found.asked_as = (FORM,) if arm.brief else ()  # the brief itself is in the messages, hence in the keys
        return found

    @cached_property
    def solution_form(self) -> str:
        """64 hex digits of how a solution becomes tokens: losses compare where these are equal."""
        return digest(self.base.tokenizer.fingerprint, self.base.family.chat.end, self._layout)

    def rendered(
        self, row: dict[str, Any], solution: tuple[str, str], brief: Brief | None = None
    ) -> tuple[str, Rendered]:
        """Return a question with a solution as the student's tokens, and the key under which its loss is kept."""
        messages = (_as_in_training if brief is None else brief)(row)
        reply = LAYOUTS[self._layout].text(*solution)
        return digest("loss", self.identity, list(messages), reply), self.renderer.render(messages, reply)

    @property
    def _layout(self) -> str:
        return "tags" if self.brief else self.settings.format

    def learnt(self) -> list[str] | None:
        """Return the questions that it was trained on; None where they are not known any more."""
        if self.trained is None:
            return []
        return learnt_questions(self.trained.folder, self.base.family.chat, self.base.tokenizer)

    def wanted(self, rows: pl.DataFrame, order: Order, brief: Brief | None = None) -> list[Asked]:
        """List the replies that are wanted, sample by sample and in the questions' order.

        Args:
            rows: questions in the QUESTION schema.
            order: how often and how they are asked.
            brief: how they are put; None puts them as in training.
        """
        put = _as_in_training if brief is None else brief
        listed = [(row["question_id"], put(row)) for row in rows.iter_rows(named=True)]
        sampling = {"temperature": order.temperature, "max_tokens": order.max_tokens or MAX_NEW_TOKENS}
        found = []
        for sample in range(order.samples):
            for name, messages in listed:
                key = request_key({"student": self.identity}, "student", messages, sampling)
                seed = sample_seed(order.seed, name, sample)
                found.append(Asked(question_id=name, messages=messages, sample=sample, key=key, seed=seed))
        return found

    def ask(
        self, wanted: Sequence[Asked], store: AnswerStore, order: Order, label: str, report: Reporter
    ) -> float | None:
        """Ask for replies, and store them batch by batch; returns the seconds a reply took, None of nothing."""
        if not wanted:
            return None
        lengths = [len(self.renderer.prompt(one.messages)) for one in wanted]
        limit = order.max_tokens or MAX_NEW_TOKENS
        full = [one for one, length in zip(wanted, lengths, strict=True) if length >= self.base.context]
        self._store(store, label, [(one, StudentReply("", 0, False), self.base.context) for one in full])
        started, done = time.monotonic(), 0
        with ready(self.student, limit, seeded=True) as student:
            rows = most_rows(student, seeded=True)
            for batch in _batches(wanted, lengths, self.base.context, rows):
                replies = generate(
                    student,
                    [one.messages for one, _ in batch],
                    max_new_tokens=limit,
                    temperature=order.temperature,
                    seed=[one.seed for one, _ in batch],
                )
                self._store(store, label, [(one, reply, n) for (one, n), reply in zip(batch, replies, strict=True)])
                done += len(batch)
                left = len(wanted) - len(full) - done
                time_left = f", {clock(left * (time.monotonic() - started) / done)} left" if left else ""
                report.say(f"  {label}: {done:,} of {left + done:,} replies{time_left}")
        return (time.monotonic() - started) / done if done else None

    def _store(self, store: AnswerStore, label: str, replies: Sequence[tuple[Asked, StudentReply, int]]) -> None:
        if replies:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            rows = [self._row(one, reply, prompt, label, now) for one, reply, prompt in replies]
            store.add(pl.DataFrame(rows, schema=FIELDS, orient="row"))

    def _row(self, one: Asked, reply: StudentReply, prompt: int, label: str, now: str) -> dict[str, Any]:
        finish = "stop" if reply.finished else "length"
        choice = {"message": {"role": "assistant", "content": reply.text}, "finish_reason": finish}
        usage = {"prompt_tokens": prompt, "completion_tokens": reply.tokens}
        return {
            "request_key": one.key,
            "sample": one.sample,
            "question_id": one.question_id,
            "step": STEP,
            "teacher": label,
            "seed": one.seed,
            "count": 1,
            "choice": json.dumps(choice, ensure_ascii=False),
            "finish_reason": finish,
            **usage,
            "usage": json.dumps(usage),
            "when": now,
            "model": Path(self.base.name).name,
        }


def _as_in_training(row: dict[str, Any]) -> Sequence[Message]:
    return [{"role": "user", "content": user_message(row["question"], row["context"])}]


def _batches(
    wanted: Sequence[Asked], lengths: Sequence[int], context: int, rows: int
) -> Iterator[list[tuple[Asked, int]]]:
    """Yield replies to ask for at once, those of one shape together, each with the tokens of its prompt."""
    buckets: dict[int, list[tuple[Asked, int]]] = {}
    for one, length in zip(wanted, lengths, strict=True):
        if length < context:
            buckets.setdefault(length_bucket(length), []).append((one, length))
    for _, members in sorted(buckets.items(), reverse=True):  # the longest first: what does not fit shows at once
        for start in range(0, len(members), rows):
            yield members[start : start + rows]
