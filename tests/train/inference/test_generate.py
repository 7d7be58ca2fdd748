"""Asking a student: the tokens that the model itself finds likeliest, however the work is cut up."""

import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from flax import nnx
from tunix.generate.sampler import CacheConfig, Sampler

from tests.train.models.tiny import tiny_gemma3
from tunixhack.errors import UserError
from tunixhack.testing.tokenizer import ByteTokenizer
from tunixhack.train.attention.dense import seen_pairs
from tunixhack.train.core.mesh import device_mesh, with_lora
from tunixhack.train.data.chat import GEMMA, Renderer
from tunixhack.train.inference import batch_shape, ready
from tunixhack.train.inference import generate as module
from tunixhack.train.inference.batch_shape import SHORTEST
from tunixhack.train.inference.decode import decode
from tunixhack.train.inference.generate import generate
from tunixhack.train.inference.sampling import Sampling
from tunixhack.train.models.gemma3 import FAMILY
from tunixhack.train.settings import settings

OTHERS = ["How is it that three and three are six, and are no other number?", "How?", "Who?"]
"""Of other lengths than `QUESTIONS`, and of the same power of two."""
QUESTIONS = ["Why?", "What is two and two, and why is it that and not another number?", "A poem, please."]


@dataclass(frozen=True)
class Ids(ByteTokenizer):
    """Shows ids as numbers, and has one token more that ends a reply."""

    stop: int = 500

    @property
    def control_ids(self):
        return {**super().control_ids, "<stop>": self.stop}

    def decode(self, ids):
        return " ".join(map(str, ids))


def student(model=None, mesh=None, stop=500, context=4096, stops=("<end_of_turn>", "<eos>", "<stop>", "<other>")):
    mesh = mesh or device_mesh(jax.device_count())
    tokenizer = Ids(stop=stop)
    model = model or tiny_gemma3(mesh=mesh)
    base = SimpleNamespace(
        name="tiny",
        family=SimpleNamespace(stops=stops),
        config=model.config,
        context=context,
        tokenizer=tokenizer,
    )
    chosen = settings("lora", lora_rank=4, lora_alpha=8.0)
    return SimpleNamespace(base=base, model=model, mesh=mesh, renderer=Renderer(GEMMA, tokenizer), settings=chosen)


@pytest.fixture(scope="module")
def tiny():
    return student()


def ids(reply):
    return [int(id) for id in reply.text.split()]


@nnx.jit
def likeliest(model, row, last):
    """Return the token behind the one at ``last``."""
    places = jnp.arange(len(row))
    logits, _ = model(row[None], places[None], None, seen_pairs((places <= last)[None].astype(jnp.int32), None))
    return jnp.argmax(logits[0, last])


def without_cache(asked, question, new):
    """Write the likeliest tokens, reading the whole text again for each."""
    tokens = asked.renderer.prompt([{"role": "user", "content": question}])
    begin = len(tokens)
    while len(tokens) < begin + new:
        row = np.array(tokens + [0] * (128 - len(tokens)), np.int32)
        tokens.append(int(likeliest(asked.model, row, len(tokens) - 1)))
    return tokens[begin:]


def test_replies_are_the_likeliest_tokens_beyond_every_window(tiny):
    replies = generate(tiny, QUESTIONS, max_new_tokens=12)
    for question, reply in zip(QUESTIONS, replies, strict=True):
        assert ids(reply) == without_cache(tiny, question, 12)
        assert reply.tokens == 12
        assert not reply.finished
    assert len({reply.text for reply in replies}) == 3


def test_a_reply_does_not_depend_on_the_other_questions(tiny):
    together = generate(tiny, [*QUESTIONS, QUESTIONS[0]], max_new_tokens=8)
    assert together[0] == together[3]
    assert together[1] == generate(tiny, [QUESTIONS[1]], max_new_tokens=8)[0]


def test_tunix_own_sampler_writes_the_same(tiny):
    class Prompt:
        """Gives that sampler the prompt as we write it, without the start token that it adds itself."""

        def encode(self, text):
            return tiny.renderer.prompt([{"role": "user", "content": text}])[1:]

        def decode(self, ids):
            return " ".join(map(str, ids))

        def bos_id(self):
            return 2

        def eos_id(self):
            return 1

        def pad_id(self):
            return 7  # a token that is nowhere in the texts: it would be taken for padding there, too

    config = tiny.model.config
    cache = CacheConfig(256, config.num_layers, config.num_kv_heads, config.head_dim)
    theirs = Sampler(tiny.model, Prompt(), cache)(QUESTIONS, max_generation_steps=12, eos_tokens=[1, 4, 500])
    assert [reply.text for reply in generate(tiny, QUESTIONS, max_new_tokens=12)] == theirs.text


def adapted(dtype=jnp.float32, quantised=False):
    """Return a tiny student with adapters that change something, on a base of a dtype or of four bits."""
    mesh = device_mesh(jax.device_count())
    model = tiny_gemma3(mesh=mesh)
    base = nnx.state(model, nnx.Param)
    nnx.update(model, jax.tree.map(lambda leaf: leaf.astype(dtype), base))
    model = with_lora(model, mesh, modules=FAMILY.lora_modules, rank=4, alpha=8.0, quantised=quantised)
    adapters = nnx.state(model, nnx.LoRAParam)
    leaves, tree = jax.tree.flatten(adapters)
    keys = jax.random.split(jax.random.key(7), len(leaves))
    fresh = [0.3 * jax.random.normal(key, leaf.shape, jnp.float32) for key, leaf in zip(keys, leaves, strict=True)]
    nnx.update(model, jax.tree.unflatten(tree, fresh))
    return student(model, mesh)


def test_adapters_are_in_the_replies(tiny):
    asked = adapted()
    (reply,) = generate(asked, QUESTIONS[:1], max_new_tokens=8)
    assert ids(reply) == without_cache(asked, QUESTIONS[0], 8)
    assert reply != generate(tiny, QUESTIONS[:1], max_new_tokens=8)[0]


@pytest.mark.parametrize("base", [{"dtype": jnp.bfloat16}, {"quantised": True}])
def test_base_and_adapters_may_differ_in_their_numbers(base, monkeypatch):
    for place in (module, batch_shape, ready):
        monkeypatch.setattr(place, "compute_dtype", lambda mesh: jnp.bfloat16)  # as on an accelerator
    (reply,) = generate(adapted(**base), QUESTIONS[:1], max_new_tokens=8)
    assert reply.tokens == 8


def test_the_first_of_any_stop_ends_a_reply(tiny):
    plain = [ids(reply) for reply in generate(tiny, QUESTIONS, max_new_tokens=12)]
    stop = next(id for id in plain[0][3:] if id not in plain[0][:3])
    place = plain[0].index(stop)
    replies = generate(student(tiny.model, tiny.mesh, stop=stop), QUESTIONS, max_new_tokens=12)
    assert (ids(replies[0]), replies[0].tokens, replies[0].finished) == (plain[0][:place], place, True)
    for before, after in zip(plain[1:], replies[1:], strict=True):
        cut = before.index(stop) if stop in before else 12
        assert (ids(after), after.finished) == (before[:cut], cut < 12)


def test_a_stop_as_the_last_token_that_is_allowed_has_finished(tiny):
    plain = ids(generate(tiny, QUESTIONS[:1], max_new_tokens=12)[0])
    stop = next(id for id in plain[3:] if id not in plain[:3])
    place = plain.index(stop)
    asked = student(tiny.model, tiny.mesh, stop=stop)
    assert generate(asked, QUESTIONS[:1], max_new_tokens=place + 1)[0].finished
    assert not generate(asked, QUESTIONS[:1], max_new_tokens=place)[0].finished


def test_other_limits_and_as_many_questions_are_not_compiled_again(tiny):
    generate(tiny, QUESTIONS[:1], max_new_tokens=5)
    before = decode._cache_size()
    generate(tiny, ["How?"], max_new_tokens=9)
    generate(student(tiny.model, tiny.mesh, stop=499), ["When?"], max_new_tokens=1)
    assert decode._cache_size() == before


@contextmanager
def compiled():
    """Count what is compiled, and what is found compiled in jax's cache."""
    found = Counter()

    def count(event, **_):
        found[event.rpartition("/")[2]] += 1

    jax.monitoring.register_event_listener(count)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_listener(count)


def test_lengths_of_a_bucket_share_what_was_compiled_and_another_process_finds_it(tiny):
    if jax.config.jax_compilation_cache_dir is None:
        pytest.skip("jax keeps nothing: pytest runs without its cache")
    # what is compiled in less than a second is not kept otherwise, and an idle machine is that fast
    least = jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    decode.clear_cache()  # another test may have compiled it, and too fast for it to be kept
    try:
        generate(tiny, QUESTIONS, max_new_tokens=20)
    finally:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
    with compiled() as within:
        generate(tiny, OTHERS, max_new_tokens=100)
    assert not within["cache_misses"] + within["cache_hits"]
    decode.clear_cache()  # what another process has not compiled yet
    with compiled() as other:
        generate(tiny, QUESTIONS, max_new_tokens=64)
    assert other["cache_hits"] == 1
    assert not other["cache_misses"]


def test_prompts_read_in_groups_are_replied_to_the_same(tiny, monkeypatch):
    asked = [f"What is {n}, and what else?" for n in range(4 * jax.device_count())]
    whole = generate(tiny, asked, max_new_tokens=6)
    monkeypatch.setattr(batch_shape, "PROMPT_SHARE", 1e-9)
    assert generate(tiny, asked, max_new_tokens=6) == whole


class Memory:
    """A device on which batches of more rows than some run out of memory."""

    def __init__(self, monkeypatch, rows, said="RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 byte."):
        self.asked, self.said, self.rows = [], said, rows
        monkeypatch.setattr(module, "decode", self)

    def __call__(self, graph, state, prompts, *more, compiled):
        self.asked.append(compiled.shape.rows)
        if compiled.shape.rows > self.rows:
            raise jax.errors.JaxRuntimeError(self.said)
        return decode(graph, state, prompts, *more, compiled=compiled)


def test_a_batch_that_does_not_fit_is_asked_in_halves_and_told_of_once(tiny, monkeypatch, capsys):
    devices = jax.device_count()
    asked = [f"What is {n}?" for n in range(8 * devices)]
    whole = generate(tiny, asked, max_new_tokens=4)
    memory = Memory(monkeypatch, 2 * devices)
    assert generate(tiny, asked, max_new_tokens=4) == whole
    assert memory.asked == [rows * devices for rows in (8, 4, 2, 2, 2, 2)]
    told = capsys.readouterr().err
    assert told.count("WARNING") == 1
    assert f"{8 * devices} questions at once did not fit" in told


def test_one_question_that_does_not_fit_is_a_sentence(tiny, monkeypatch):
    Memory(monkeypatch, 0)
    with pytest.raises(UserError, match="even one at a time: give fewer new tokens"):
        generate(tiny, QUESTIONS, max_new_tokens=4)


def test_another_failure_is_none_of_memory(tiny, monkeypatch):
    memory = Memory(monkeypatch, 0, said="INTERNAL: something else")
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        generate(tiny, QUESTIONS, max_new_tokens=4)
    assert len(memory.asked) == 1


def test_logits_of_a_whole_prompt_are_never_made(tiny, monkeypatch):
    texts = []

    def looked_at(*args, **kwargs):
        texts.append(decode.lower(*args, **kwargs).compile().as_text())
        return decode(*args, **kwargs)

    monkeypatch.setattr(module, "decode", looked_at)
    generate(tiny, QUESTIONS[:1], max_new_tokens=5)
    given, vocabulary = SHORTEST - 1, tiny.model.config.num_embed
    made = re.compile(rf"f32\[(\d+,)?{given},{vocabulary}\]")
    assert not made.search(texts[0])
    assert made.search(nnx.jit(whole_prompt).lower(tiny.model, jnp.zeros((1, given), jnp.int32)).compile().as_text())


def whole_prompt(model, tokens):
    return model(tokens, jnp.zeros_like(tokens), None, seen_pairs(jnp.ones_like(tokens), None))[0]


def test_a_full_context_cuts_a_reply(tiny):
    length = len(tiny.renderer.prompt([{"role": "user", "content": "Why?"}]))
    (reply,) = generate(student(tiny.model, tiny.mesh, context=length + 3), ["Why?"], max_new_tokens=8)
    assert (reply.tokens, reply.finished) == (3, False)


def test_a_question_that_fills_the_context_is_named(tiny):
    asked = student(tiny.model, tiny.mesh, context=60)
    with pytest.raises(UserError, match=r"of \d+ tokens leaves tiny, which takes 60, no room.*'What is two and"):
        generate(asked, QUESTIONS)


def test_turns_are_asked_as_they_were_trained(tiny):
    turns = [{"role": "user", "content": "Why?"}]
    system = [{"role": "system", "content": "Short."}, *turns]
    asked, bare, told = generate(tiny, ["Why?", turns, system], max_new_tokens=6)
    assert asked == bare != told


def test_no_questions_no_replies(tiny):
    assert generate(tiny, []) == []


def test_progress_is_told_by_batch(tiny, monkeypatch):
    monkeypatch.setattr(batch_shape, "CPU_ROWS", 2 * jax.device_count())
    told = []
    asked = QUESTIONS * 2 * jax.device_count()
    replies = generate(tiny, asked, max_new_tokens=2, progress=lambda *done: told.append(done))
    assert told == [(2 * jax.device_count() * batch, len(asked)) for batch in (1, 2, 3)]
    assert replies == generate(tiny, QUESTIONS, max_new_tokens=2) * 2 * jax.device_count()


def test_a_sample_depends_on_seed_and_place_alone(tiny):
    options = {"max_new_tokens": 8, "temperature": 1.0}
    first = generate(tiny, QUESTIONS, **options)
    assert first == generate(tiny, QUESTIONS, **options)
    assert first != generate(tiny, QUESTIONS, seed=43, **options)
    others = generate(tiny, [*QUESTIONS[:2], "How?", QUESTIONS[0]], **options)
    assert first[:2] == others[:2]
    assert others[3] != others[0]


def test_each_token_is_drawn_anew(tiny):
    (reply,) = generate(tiny, QUESTIONS[:1], max_new_tokens=12, temperature=1e6)
    assert len(set(ids(reply))) > 6


@pytest.mark.parametrize("least", [{"top_k": 1}, {"top_p": 1e-9}])
def test_the_likeliest_of_one_is_the_greedy_one(tiny, least):
    greedy = generate(tiny, QUESTIONS[:2], max_new_tokens=5)
    assert generate(tiny, QUESTIONS[:2], max_new_tokens=5, temperature=2.0, **least) == greedy


@pytest.mark.parametrize(
    ("sampling", "wanted"),
    [
        (Sampling(0.0, top_p=0.1), [0, 1, 0, 0]),
        (Sampling(1.0), [0.1, 0.5, 0.1, 0.3]),
        (Sampling(1.0, top_k=2), [0, 0.625, 0, 0.375]),
        (Sampling(1.0, top_k=9), [0.1, 0.5, 0.1, 0.3]),
        (Sampling(1.0, top_p=0.6), [0, 0.625, 0, 0.375]),
        (Sampling(1.0, top_p=0.45), [0, 1, 0, 0]),
        (Sampling(0.5), [1 / 36, 25 / 36, 1 / 36, 9 / 36]),
        (Sampling(1.0, top_k=2, top_p=0.6), [0, 1, 0, 0]),
    ],
)
def test_tokens_are_drawn_as_often_as_they_are_likely(sampling, wanted):
    rows = 20_000
    logits = jnp.tile(jnp.log(jnp.array([0.1, 0.5, 0.1, 0.3])), (rows, 1)) + 3
    drawn = sampling.choose(logits, jax.random.split(jax.random.key(0), rows))
    shares = np.bincount(np.asarray(drawn), minlength=4) / rows
    np.testing.assert_allclose(shares, wanted, atol=0.015)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -1},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_k": 0},
        {"max_new_tokens": 0},
    ],
)
def test_an_impossible_option_is_a_sentence(tiny, options):
    with pytest.raises(UserError, match=next(iter(options))):
        generate(tiny, QUESTIONS, **options)


def replies():
    return [list(reply) for reply in generate(adapted(), QUESTIONS * 3, max_new_tokens=12)]


@pytest.mark.slow
def test_one_and_eight_devices_write_the_same(eight):
    one = replies()
    assert len(one) == 9
    assert eight(replies) == one


def test_with_a_seed_of_its_own_a_reply_is_the_questions_alone(tiny):
    """Whatever else is asked: a draw of each token turns with the slightest difference in how it was computed."""
    options = {"max_new_tokens": 12, "temperature": 1.0}
    asked = [*QUESTIONS, "And " * 60 + "why?", *(f"What is {n}?" for n in range(5))]
    seeds = [7, 2**31 - 1, 0, *range(100, 106)]
    whole = generate(tiny, asked, seed=seeds, **options)
    assert len(set(whole)) == len(whole)
    assert [generate(tiny, [one], seed=[seed], **options)[0] for one, seed in zip(asked, seeds, strict=True)] == whole
    turned = generate(tiny, asked[::-1], seed=seeds[::-1], **options)
    assert turned[::-1] == whole
    assert generate(tiny, [asked[0]] * 2, seed=[7, 8], **options)[1] != whole[0]
    with pytest.raises(UserError, match="one seed, or one for each"):
        generate(tiny, asked, seed=[1, 2], **options)
