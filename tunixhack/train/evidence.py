"""What a student makes of questions that it was never trained on: its loss on their rows, and its own replies."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from tunixhack.train.chat import Message
from tunixhack.train.compliance import Evidence, Reply, measure
from tunixhack.train.datasets import Dataset
from tunixhack.train.generate import MAX_NEW_TOKENS, generate
from tunixhack.train.mesh import FSDP
from tunixhack.train.packing import Packed
from tunixhack.train.rows import Example
from tunixhack.train.student import Student
from tunixhack.train.token_set import TokenSet
from tunixhack.train.trainer import Inputs, summed_losses


class ValidationLoss:
    """The mean loss of the learnt tokens of the rows that are held back; compiled once.

    Args:
        student: in training.
        data: its tokens; those of questions that are held back are used.
        rows: training rows at once, which the devices must divide.
    """

    def __init__(self, student: Student, data: TokenSet, rows: int) -> None:
        family, dtype = student.base.family, jnp.dtype(student.settings.compute)
        length = student.settings.length
        split = NamedSharding(student.mesh, PartitionSpec(FSDP))
        batches = list(Packed(data, length=length, batch=rows, validation=True))
        self._mesh = student.mesh
        self._batches: list[Inputs] = [
            {
                name: jax.device_put(getattr(batch, name), split)
                for name in ("tokens", "loss_mask", "segments", "positions")
            }
            for batch in batches
        ]
        self.learnt = sum(int(batch.loss_mask.sum()) for batch in batches)
        """Tokens that it is the mean of."""
        graph = nnx.graphdef(student.model)
        self._summed = jax.jit(lambda state, inputs: summed_losses(nnx.merge(graph, state), family, inputs, dtype))
        self._student = student

    def __call__(self) -> float:
        """Return it for the weights as they are now, in nats a token."""
        state = nnx.state(self._student.model)
        with self._mesh:
            return float(sum(float(self._summed(state, inputs)) for inputs in self._batches)) / self.learnt


def chosen(datasets: Sequence[Dataset], data: TokenSet, count: int) -> list[Example]:
    """Choose examples whose questions are held back, the first of each question, in the data's order."""
    examples = [example for dataset in datasets for example in dataset.examples]
    found: dict[str, Example] = {}
    for row in data.validation():
        example = examples[int(data.example[row])]
        found.setdefault(example.question_id, example)
    return list(found.values())[:count]


def replies(
    student: Student,
    examples: Sequence[Example],
    *,
    max_new_tokens: int = MAX_NEW_TOKENS,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[list[Reply], Evidence]:
    """Ask a student, greedily, and measure what it says.

    Args:
        student: trained or not.
        examples: whose questions are asked.
        max_new_tokens: where a reply is cut off; what the hackathon's readers use by default.
        progress: called with the questions done and all questions.
    """
    asked: list[Sequence[Message]] = [example.messages() for example in examples]
    said = generate(student, asked, max_new_tokens=max_new_tokens, progress=progress) if asked else []
    return said, measure(said, student.renderer.format, max_new_tokens)
