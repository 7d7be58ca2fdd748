"""The validation of a student by questions that it was not trained on: its loss on their rows, and its own replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from tunixhack.train.core.batches import put_on_mesh, step_inputs
from tunixhack.train.core.step import summed_losses
from tunixhack.train.data.chat import Message
from tunixhack.train.data.datasets import Dataset, all_examples
from tunixhack.train.data.packing import Packed
from tunixhack.train.data.rows import TrainingExample
from tunixhack.train.data.token_set import TokenSet
from tunixhack.train.inference.format_compliance import measure
from tunixhack.train.inference.generate import generate
from tunixhack.train.report import samples
from tunixhack.train.report.samples import ComparedReplies
from tunixhack.train.run.job import Session
from tunixhack.train.run.own_copy import own_copy
from tunixhack.train.student import Student


class ValidationLoss:
    """The mean loss of the learnt tokens of the validation rows; compiled once.

    Args:
        student: in training.
        data: its tokens; those of the validation rows are used.
        rows: training rows at once, which the devices must divide.
    """

    def __init__(self, student: Student, data: TokenSet, rows: int) -> None:
        family, dtype = student.base.family, jnp.dtype(student.settings.compute)
        batches = list(Packed(data, max_seq_len=student.settings.max_seq_len, batch_size=rows, validation=True))
        self._mesh = student.mesh
        self._batches = [put_on_mesh(step_inputs(batch), student.mesh) for batch in batches]
        self.learnt = sum(int(batch.loss_mask.sum()) for batch in batches)
        """Tokens that it is the mean of."""
        graph, attend = nnx.graphdef(student.model), student.attend
        self._summed = jax.jit(
            lambda state, inputs: summed_losses(nnx.merge(graph, state), family, inputs, dtype, attend)
        )
        self._student = student

    def __call__(self, stopped: Callable[[], bool] = lambda: False) -> float | None:
        """Return it for the weights as they are now, in nats a token; None where it was stopped between two batches."""
        state, total = nnx.state(self._student.model), 0.0
        with self._mesh:
            for inputs in self._batches:
                if stopped():
                    return None
                total += float(self._summed(state, inputs))
        return total / self.learnt


def validation_examples(datasets: Sequence[Dataset], data: TokenSet, count: int) -> list[TrainingExample]:
    """Choose examples of the validation questions, the first of each question, in the data's order."""
    examples = all_examples(datasets)
    found: dict[str, TrainingExample] = {}
    for row in data.validation_rows():
        example = examples[int(data.example[row])]
        found.setdefault(example.question_id, example)
    return list(found.values())[:count]


class ReplyComparison:
    """Replies to the same validation questions before a training and after it.

    Args:
        student: trained or not.
        examples: of validation questions.
        folder: of the training, for ``samples.json``.
        max_new_tokens: where a reply is cut off.
        session: where progress is shown, and the processes that train: the first of them asks a copy of the student.
    """

    def __init__(
        self, student: Student, examples: Sequence[TrainingExample], folder: Path, max_new_tokens: int, session: Session
    ) -> None:
        self._student, self._folder = student, folder
        self._report, self._group = session.report, session.group
        self._limit = max_new_tokens
        self._questions: list[Sequence[Message]] = [example.messages() for example in examples]
        self._samples = [ComparedReplies(question=example.question, domain=example.domain) for example in examples]

    def before(self, earlier: Mapping[str, Any] | None, seconds: MutableMapping[str, float]) -> dict[str, Any] | None:
        """Generate replies, unless an earlier start did to the same questions; None without questions.

        Args:
            earlier: what was found then, as `ReplyStatistics.as_dict` has it.
            seconds: of each stage, which this one is added to.
        """
        known = self._group.decide("replies/known", lambda: self._known(earlier))
        return known if known is not None else self._generate("before", seconds)

    def _known(self, earlier: Mapping[str, Any] | None) -> dict[str, Any] | None:
        saved = samples.read(self._folder)
        same = [one.question for one in saved] == [one.question for one in self._samples]
        if earlier is None or not same or earlier.get("max_new_tokens") != self._limit:
            return None
        self._samples = saved
        return dict(earlier)

    def after(self, earlier: Mapping[str, Any] | None, seconds: MutableMapping[str, float]) -> dict[str, Any] | None:
        """Generate them again, unless what was found is given; see `before`."""
        return dict(earlier) if earlier is not None else self._generate("after", seconds)

    def _generate(self, when: str, seconds: MutableMapping[str, float]) -> dict[str, Any] | None:
        if not self._questions:
            return None
        student = own_copy(self._student, self._group, when, self._report)
        if student is None:
            return None
        return self._group.decide(f"replies/{when}", lambda: self._ask(student, when, seconds))

    def _ask(self, student: Student, when: str, seconds: MutableMapping[str, float]) -> dict[str, Any]:
        count = len(self._questions)
        self._report.say(f"{count} validation questions, replies of at most {self._limit:,} tokens")
        with self._report.timed(f"validation replies {when}", seconds):
            said = generate(student, self._questions, max_new_tokens=self._limit, progress=self._report_progress)
        self._samples = [
            replace(sample, before=reply) if when == "before" else replace(sample, after=reply)
            for sample, reply in zip(self._samples, said, strict=True)
        ]
        samples.write(self._folder, self._samples)
        return measure(said, student.renderer.format, self._limit).as_dict()

    def _report_progress(self, done: int, count: int) -> None:
        if done < count:
            self._report.say(f"{done} of {count} replied")
