"""Asking a student: prompts exactly as it was trained under, replies until it stops.

Tunix has a Sampler for this, which is what the hackathon's readers use; greedily, it gives the same tokens as this
loop (a test compares them). The loop is our own because that Sampler

- takes texts and makes tokens of them its own way, and takes every token that equals the padding for padding, in
  prompts and replies: SmolLM2 pads with the token that ends its turns, which would not be seen then;
- keeps its compiled code with the object, with the stop tokens and the exact lengths in it, so that each call of ours
  would compile again: here, lengths are rounded up and all calls share what was compiled;
- takes the cache's dtype from the model's first array, and fails where the base is bf16 and its adapters fp32;
- asks the model for logits of every token of a prompt, 1 MiB each with Gemma's vocabulary, and uses the last;
- draws one random number a step for the whole batch, so that a question's sample depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.train.core.mesh import FSDP
from tunixhack.train.data.chat import Message
from tunixhack.train.inference.batch_shape import BatchShape, batch_shape, length_bucket
from tunixhack.train.inference.decode import Compiled, Prompts, decode
from tunixhack.train.inference.format_compliance import StudentReply
from tunixhack.train.inference.ready import ReadyStudent, compute_dtype, out_of_memory, ready
from tunixhack.train.inference.sampling import Sampling
from tunixhack.train.student import Student

MAX_NEW_TOKENS = 768
"""What the hackathon's readers let a student write."""

SEED = 42


def generate(
    student: Student,
    questions: Sequence[str | Sequence[Message]],
    *,
    max_new_tokens: int = MAX_NEW_TOKENS,
    temperature: float = 0.0,
    top_p: float | None = None,
    top_k: int | None = None,
    seed: int | Sequence[int] = SEED,
    progress: Callable[[int, int], object] | None = None,
) -> list[StudentReply]:
    """Let a student reply to questions.

    Where a batch does not fit into the device's memory after all, it is asked again in halves, which is told once;
    replies of another shape are the same up to rounding.

    Args:
        student: with LoRA or without, on one device or several; it is not changed. For several calls, make it `ready`
            once.
        questions: each a text, or turns as `tunixhack.train.data.chat.Renderer.prompt` takes them.
        max_new_tokens: where a reply is cut off. It is cut earlier where the student's context is full.
        temperature: 0 for the likeliest token each time.
        top_p: see `Sampling`.
        top_k: see `Sampling`.
        seed: with a temperature, a reply is a function of the seed, the question, and its place among them. Given a
            seed of each question's own, below 2³¹, a reply is a function of its question and its seed alone: neither
            the other questions nor their order or number change it, on devices of the same kind and memory.
        progress: called with the questions done and all questions, after each batch.

    Returns:
        A reply to each question, in their order.

    Raises:
        UserError: a question fills the student's context, a conversation is none, an option is out of its range, or not
            even one question fits into memory.
    """
    if max_new_tokens < 1:
        raise UserError(f"max_new_tokens must be at least 1, not {max_new_tokens}")
    sampling = Sampling(temperature, top_p, top_k)
    prompts = [_prompt(student, question) for question in questions]
    seeded = isinstance(seed, Sequence)
    numbers, key = (list(seed), SEED) if isinstance(seed, Sequence) else (range(len(prompts)), seed)
    if len(numbers) != len(prompts):
        raise UserError(f"{len(numbers)} seeds are given for {len(prompts)} questions: give one seed, or one for each")
    if not prompts:
        return []
    with ready(student, max_new_tokens, seeded=seeded) as asked:
        batches = _Batches(asked, prompts, numbers, max_new_tokens, sampling, key)
        return batches.replies(seeded, progress)


def _prompt(student: Student, question: str | Sequence[Message]) -> list[int]:
    messages = [{"role": "user", "content": question}] if isinstance(question, str) else question
    prompt = student.renderer.prompt(messages)
    if len(prompt) >= student.base.context:
        shown = " ".join(messages[-1]["content"].split())[:60]
        raise UserError(
            f"a question of {len(prompt):,} tokens leaves {student.base.name}, which takes {student.base.context:,}, "
            f"no room to reply: shorten the one that begins with {shown!r}"
        )
    return prompt


@dataclass(frozen=True)
class _Batches:
    """The questions of a call."""

    student: ReadyStudent
    prompts: Sequence[Sequence[int]]
    numbers: Sequence[int]
    """Of each question, for its random numbers: its place among all questions, or its seed."""
    new: int
    """Tokens of a reply, at most."""
    sampling: Sampling
    seed: int

    def replies(self, seeded: bool, progress: Callable[[int, int], object] | None) -> list[StudentReply]:
        """Ask all of them, like lengths together."""
        replies: list[StudentReply | None] = [None] * len(self.prompts)
        # the longest first: what does not fit into memory shows at once
        order = sorted(range(len(self.prompts)), key=lambda number: -len(self.prompts[number]))
        done = 0
        while done < len(order):
            left = len(order) - done
            # another shape computes the same up to rounding, which a draw or a tie can turn: with seeds of their own,
            # the shape follows the prompt alone
            shape = batch_shape(self.student, len(self.prompts[order[done]]), self.new, left, seeded=seeded)
            batch = order[done : done + shape.rows]
            if seeded:
                batch = [number for number in batch if length_bucket(len(self.prompts[number])) == shape.prompt]
            found = self._unless_out_of_memory(batch, shape)
            if found is None:
                self._take_fewer(shape)
                continue
            for number, reply in zip(batch, found, strict=True):
                replies[number] = reply
            done += len(batch)
            if progress is not None:
                progress(done, len(order))
        return [reply for reply in replies if reply is not None]

    def _unless_out_of_memory(self, batch: Sequence[int], shape: BatchShape) -> list[StudentReply] | None:
        try:
            return self._ask(batch, shape)
        except jax.errors.JaxRuntimeError as error:
            if not out_of_memory(error):
                raise
            return None  # outside of this, nothing holds the arrays of what failed any more

    def _take_fewer(self, shape: BatchShape) -> None:
        """Halve the rows of batches as long as this one."""
        devices = int(self.student.mesh.shape[FSDP])
        if shape.rows == devices:
            raise UserError(
                f"memory does not suffice for a prompt of {shape.prompt:,} tokens and a reply of {self.new:,}, even "
                "one at a time: give fewer new tokens (max_new_tokens), shorten the questions, or free memory"
            )
        if self.student.positions is None:
            Reporter().warn(
                f"{shape.rows} questions at once did not fit into the device's memory: going on with "
                f"{max(devices, shape.rows // 2)}, and fewer where those do not fit"
            )
        self.student.positions = shape.rows * shape.total // 2

    def _ask(self, batch: Sequence[int], shape: BatchShape) -> list[StudentReply]:
        """Reply to the questions of a batch."""
        student = self.student
        tokens = np.zeros((shape.rows, shape.prompt), np.int32)
        first = np.full(shape.rows, shape.prompt - 1, np.int32)
        room = np.zeros(shape.rows, np.int32)  # none for rows without a question, which are done from the start
        number = np.zeros(shape.rows, np.int32)
        for row, place in enumerate(batch):
            prompt = self.prompts[place]
            tokens[row, shape.prompt - len(prompt) :] = prompt
            first[row] = shape.prompt - len(prompt)
            room[row] = min(self.new, student.base.context - len(prompt))
            number[row] = self.numbers[place]
        mesh, config = student.mesh, student.base.config
        control = student.renderer.tokenizer.control_ids
        stops = [control[stop] for stop in student.base.family.stops if stop in control]
        split = NamedSharding(mesh, PartitionSpec(FSDP))
        graph, state = nnx.split(student.model)
        with mesh:  # Tunix's constraints look for it there
            written, count, finished = decode(
                graph,
                state,
                Prompts(*(jax.device_put(array, split) for array in (tokens, first, room, number))),
                jnp.array(stops, jnp.int32),
                jax.random.key(self.seed),
                compiled=Compiled(
                    shape=shape,
                    cache_shape=(config.num_layers, config.num_kv_heads, config.head_dim),
                    dtype=compute_dtype(mesh),
                    split=split,
                    sampling=self.sampling,
                ),
            )
            ids: npt.NDArray[np.int32] = np.asarray(written)
        lengths, ended = np.asarray(count)[: len(batch)], np.asarray(finished)[: len(batch)]
        replies = []
        for row, (length, stopped) in enumerate(zip(lengths.tolist(), ended.tolist(), strict=True)):
            length -= stopped  # without the token that ended it
            text = student.base.tokenizer.decode(ids[row, shape.prompt : shape.prompt + length].tolist())
            replies.append(StudentReply(text, length, stopped))
        return replies
