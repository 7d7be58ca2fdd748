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

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tunixhack.errors import UserError
from tunixhack.train.core.loss import in_compute_dtype
from tunixhack.train.core.mesh import FSDP
from tunixhack.train.data.chat import Message
from tunixhack.train.inference.format_compliance import StudentReply
from tunixhack.train.inference.sampling import Sampling
from tunixhack.train.student import Student

MAX_NEW_TOKENS = 768
"""What the hackathon's readers let a student write."""

SEED = 42
MOST_ROWS = 32
"""Questions answered at once, at most."""

MEMORY = 2**30
"""Bytes of a device that cache and attention of a batch may take."""

SHORTEST, STEP = 32, 128
"""Prompts are padded to a power of two, at least the first; room for replies is rounded up to multiples of the second:
each pair of lengths is compiled once."""


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

    Args:
        student: with LoRA or without, on one device or several.
        questions: each a text, or turns as `tunixhack.train.data.chat.Renderer.prompt` takes them.
        max_new_tokens: where a reply is cut off. It is cut earlier where the student's context is full.
        temperature: 0 for the likeliest token each time.
        top_p: see `Sampling`.
        top_k: see `Sampling`.
        seed: with a temperature, a reply is a function of the seed, the question, and its place among them. Given a
            seed of each question's own, below 2³¹, a reply is a function of its question and its seed alone: neither
            the other questions nor their order or number change it.
        progress: called with the questions done and all questions, after each batch.

    Returns:
        A reply to each question, in their order.

    Raises:
        UserError: a question fills the student's context, a conversation is none, or an option is out of its range.
    """
    if max_new_tokens < 1:
        raise UserError(f"max_new_tokens must be at least 1, not {max_new_tokens}")
    sampling = Sampling(temperature, top_p, top_k)
    prompts = [_prompt(student, question) for question in questions]
    control = student.renderer.tokenizer.control_ids
    stops = jnp.array([control[stop] for stop in student.base.family.stops if stop in control], jnp.int32)
    own = list(seed) if isinstance(seed, Sequence) else None
    key = jax.random.key(SEED if isinstance(seed, Sequence) else seed)
    draws = list(range(len(prompts))) if own is None else own
    if len(draws) != len(prompts):
        raise UserError(f"{len(draws)} seeds are given for {len(prompts)} questions: give one seed, or one for each")
    replies: list[StudentReply | None] = [None] * len(prompts)
    # like lengths together, the longest first: what does not fit into memory shows at once
    order = sorted(range(len(prompts)), key=lambda number: -len(prompts[number]))
    done = 0
    while done < len(order):
        left = len(order) - done
        # another shape computes the same up to rounding, which a draw or a tie can turn: with seeds of their own, the
        # shape follows the prompt alone
        shape = _shape(student, len(prompts[order[done]]), max_new_tokens, left if own is None else MOST_ROWS)
        batch = order[done : done + shape.rows]
        if own is not None:
            batch = [number for number in batch if length_bucket(len(prompts[number])) == shape.prompt]
        asked, drawn = [prompts[number] for number in batch], [draws[number] for number in batch]
        for number, reply in zip(
            batch, _reply(student, asked, drawn, shape, max_new_tokens, stops, sampling, key), strict=True
        ):
            replies[number] = reply
        done += len(batch)
        if progress is not None:
            progress(done, len(order))
    return [reply for reply in replies if reply is not None]


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
class _Shape:
    """The shape that is compiled for."""

    rows: int
    prompt: int
    """Tokens of the longest prompt, rounded up."""
    total: int
    """Tokens of prompt and reply."""


def length_bucket(prompt: int) -> int:
    """Return the length in tokens that a prompt is padded to.

    >>> length_bucket(5), length_bucket(33), length_bucket(64)
    (32, 64, 64)
    """
    return max(SHORTEST, 1 << (prompt - 1).bit_length())


def _shape(student: Student, prompt: int, new: int, left: int) -> _Shape:
    """Choose the shape of the next batch, of prompts of at most a length, out of as many as are left."""
    longest = length_bucket(prompt)
    total = longest + -(-new // STEP) * STEP
    config, devices = student.base.config, student.mesh.shape[FSDP]
    numbers = jnp.dtype(compute_dtype(student.mesh)).itemsize
    cache = total * config.num_layers * 2 * config.num_kv_heads * config.head_dim * numbers
    attention = 2 * longest * total * config.num_heads * 4  # of one layer at a time, while the prompt is read
    fitting = max(1, MEMORY // (cache + attention))
    rows = min(MOST_ROWS, 1 << (left - 1).bit_length(), devices * fitting)
    return _Shape(max(1, rows // devices) * devices, longest, total)


def compute_dtype(mesh: Mesh) -> Any:
    """Return fp32 on a processor, bf16 on an accelerator, whatever the weights are kept in."""
    return jnp.float32 if mesh.devices.flat[0].platform == "cpu" else jnp.bfloat16


def _reply(
    student: Student,
    prompts: Sequence[Sequence[int]],
    numbers: Sequence[int],
    shape: _Shape,
    new: int,
    stops: jax.Array,
    sampling: Sampling,
    key: jax.Array,
) -> list[StudentReply]:
    """Reply to a batch of prompts; ``numbers`` decide their random numbers: places among all questions, or seeds."""
    tokens = np.zeros((shape.rows, shape.prompt), np.int32)
    first = np.full(shape.rows, shape.prompt - 1, np.int32)
    room = np.zeros(shape.rows, np.int32)  # none for rows without a question, which are done from the start
    number = np.zeros(shape.rows, np.int32)
    for row, prompt in enumerate(prompts):
        tokens[row, shape.prompt - len(prompt) :] = prompt
        first[row] = shape.prompt - len(prompt)
        room[row] = min(new, student.base.context - len(prompt))
        number[row] = numbers[row]
    mesh, config = student.mesh, student.base.config
    split = NamedSharding(mesh, PartitionSpec(FSDP))
    graph, state = nnx.split(student.model)
    with mesh:  # Tunix's constraints look for it there
        written, count, finished = _decode(
            graph,
            state,
            _Prompts(*(jax.device_put(array, split) for array in (tokens, first, room, number))),
            stops,
            key,
            compiled=_Compiled(
                total=shape.total,
                cache_shape=(config.num_layers, config.num_kv_heads, config.head_dim),
                dtype=compute_dtype(mesh),
                split=split,
                sampling=sampling,
            ),
        )
    ids: npt.NDArray[np.int32] = np.asarray(written)
    replies = []
    for row, (length, ended) in enumerate(
        zip(np.asarray(count)[: len(prompts)], np.asarray(finished)[: len(prompts)], strict=True)
    ):
        length = int(length) - int(ended)  # without the token that ended it
        text = student.base.tokenizer.decode(ids[row, shape.prompt : shape.prompt + length].tolist())
        replies.append(StudentReply(text, length, bool(ended)))
    return replies


class _Prompts(NamedTuple):
    """B prompts of at most P tokens."""

    tokens: jax.Array
    """int [B, P], at the right."""
    first: jax.Array
    """int [B]: where each begins."""
    room: jax.Array
    """int [B]: new tokens at most."""
    number: jax.Array
    """int [B]: each question's own, for its random numbers."""


@dataclass(frozen=True)
class _Compiled:
    """The values that are compiled for, besides the arrays' shapes."""

    total: int
    """Tokens of prompt and reply together, L."""
    cache_shape: tuple[int, int, int]
    """Layers, heads of keys and values, and their size."""
    dtype: Any
    """What is computed in."""
    split: NamedSharding
    """Over which devices rows are."""
    sampling: Sampling


@functools.partial(jax.jit, static_argnames=("compiled",))
def _decode(
    graph: Any, state: Any, prompts: _Prompts, stops: jax.Array, key: jax.Array, *, compiled: _Compiled
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Read prompts, then write until every row has stopped or has no room.

    Args:
        graph: the model's structure: no array, and not a static argument, since Tunix's config cannot be hashed.
        state: the model's arrays.
        prompts: with what belongs to each.
        stops: int [S], the tokens that end a reply.
        key: what all random numbers come from.
        compiled: lengths, cache and sampling.

    Returns:
        int [B, L], the prompts with what was written behind them; int [B], tokens written, a stop included; bool [B],
        whether it was one.
    """
    tokens, first, room, number = prompts
    total, dtype, sampling = compiled.total, compiled.dtype, compiled.sampling
    state = in_compute_dtype(state, dtype)
    rows, given = tokens.shape
    layers, heads, size = compiled.cache_shape
    places = jnp.arange(total)
    real = places >= first[:, None]  # [B, L]: what is in front of a prompt is never seen

    def empty() -> jax.Array:
        zeros: jax.Array = jax.lax.with_sharding_constraint(
            jnp.zeros((rows, total, heads, size), dtype), compiled.split
        )
        return zeros

    cache = {
        f"layer_{layer}": {"k": empty(), "v": empty(), "end_index": jnp.zeros((rows,), jnp.int32)}
        for layer in range(layers)
    }
    # All but the prompt's last token, which the loop begins with: these logits have no use, so they are not made.
    before = places[: given - 1]
    seen = real[:, None, :] & (places <= before[:, None])
    _, cache = nnx.merge(graph, state)(tokens[:, :-1], jnp.maximum(before - first[:, None], 0), cache, seen)
    keys = jax.vmap(lambda one: jax.random.fold_in(key, one))(number)

    def going_on(carry: tuple[Any, ...]) -> jax.Array:
        return ~jnp.all(carry[-1])

    def write(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        step, written, cache, count, finished, done = carry
        last = jax.lax.dynamic_slice_in_dim(written, step, 1, axis=1)
        seen = real & (places <= step)
        logits, cache = nnx.merge(graph, state)(last, (step - first)[:, None], cache, seen[:, None, :])
        own = jax.vmap(jax.random.fold_in)(keys, count)
        token = sampling.choose(logits[:, -1].astype(jnp.float32), own)
        written = jax.lax.dynamic_update_slice_in_dim(written, token[:, None], step + 1, axis=1)
        count = count + ~done
        stopped = jnp.isin(token, stops) & ~done
        return step + 1, written, cache, count, finished | stopped, done | stopped | (count >= room)

    written = jnp.pad(tokens, ((0, 0), (0, total - given)))
    none = jnp.zeros((rows,), bool)
    start = (jnp.int32(given - 1), written, cache, jnp.zeros((rows,), jnp.int32), none, room <= 0)
    _, written, _, count, finished, _ = jax.lax.while_loop(going_on, write, start)
    return written, count, finished
