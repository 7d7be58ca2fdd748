"""Datasets as tokens, and the file that keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunixhack.errors import UserError
from tunixhack.testing import ByteTokenizer
from tunixhack.train.data import tokenize as module
from tunixhack.train.data.chat import CHATML, GEMMA, Renderer
from tunixhack.train.data.datasets import Dataset
from tunixhack.train.data.rows import TrainingExample
from tunixhack.train.data.token_set import TokenSet
from tunixhack.train.data.tokenize import choose_validation_questions, tokenise

TOKENIZER = ByteTokenizer()
RENDERER = Renderer(GEMMA, TOKENIZER)
ARRAYS = ("tokens", "loss_mask", "offsets", "example", "dataset", "domain", "validation")


def example(number: int, question: int | None = None, domain: str = "math", reasoning: str = "r") -> TrainingExample:
    id = f"{number if question is None else question:016x}"
    return TrainingExample(id, domain, None, f"question {id}", f"{reasoning} {number}", f"answer {number}")


def dataset(*examples: TrainingExample, name: str = "d", weight: float = 1.0) -> Dataset:
    return Dataset(name=name, weight=weight, examples=examples)


def equal(one: TokenSet, other: TokenSet) -> bool:
    same = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ARRAYS)
    facts = ("domains", "weights", "dropped", "longest", "key")
    return same and all(getattr(one, name) == getattr(other, name) for name in facts)


SEVERAL = [
    dataset(*(example(n, n // 4) for n in range(20)), name="math"),
    dataset(*(example(n, domain="poems") for n in range(100, 110)), name="poems", weight=2),
]


def test_each_row_is_what_the_renderer_writes():
    made = tokenise(SEVERAL, RENDERER, max_seq_len=1000)
    examples = [one for data in SEVERAL for one in data.examples]
    assert len(made) == len(examples) == 30
    for number, one in enumerate(examples):
        wanted = RENDERER.render(one.messages(), RENDERER.reply(one.reasoning, one.answer))
        row = made.row(number)
        assert row.tokens.tolist() == wanted.tokens.tolist()
        assert row.loss_mask.tolist() == wanted.loss_mask.tolist()
    assert made.example.tolist() == list(range(30))
    assert made.dataset.tolist() == [0] * 20 + [1] * 10
    assert [made.domains[domain] for domain in made.domain] == ["math"] * 20 + ["poems"] * 10
    types = [getattr(made, name).dtype for name in ARRAYS]
    assert types == [np.int32, np.bool_, np.int64, np.int64, np.int32, np.int32, np.bool_]


def test_rows_that_are_too_long_are_dropped_whole_and_counted_by_domain():
    long = [example(1, reasoning="x" * 500), example(2, domain="poems", reasoning="x" * 600)]
    made = tokenise([dataset(example(0), *long, example(3))], RENDERER, max_seq_len=300)
    assert made.example.tolist() == [0, 3]
    assert made.lengths.max() <= 300
    assert made.dropped == {"math": {"too_long": 1}, "poems": {"too_long": 1}}
    assert made.longest > 600
    assert [(one.name, one.rows, dict(one.dropped)) for one in made.by_domain()] == [
        ("math", 2, {"too_long": 1}),
        ("poems", 0, {"too_long": 1}),
    ]


def test_the_longest_length_that_is_allowed_is_kept():
    length = len(tokenise([dataset(example(0))], RENDERER, max_seq_len=1000).tokens)
    assert len(tokenise([dataset(example(0))], RENDERER, max_seq_len=length)) == 1
    with pytest.raises(UserError, match=f"longer than {length - 1} tokens .the longest has {length}"):
        tokenise([dataset(example(0))], RENDERER, max_seq_len=length - 1)


def test_rows_that_spell_a_tag_of_the_format_are_dropped():
    data = [dataset(example(0), example(1, reasoning="</reasoning>"), example(2, reasoning="<think>"))]
    assert tokenise(data, RENDERER, max_seq_len=999).dropped == {"math": {"tag_in_text": 1}}
    think = tokenise(data, Renderer(GEMMA, TOKENIZER, format="think"), max_seq_len=999)
    assert think.example.tolist() == [0, 1]


def test_validation_has_whole_questions_and_smaller_splits_are_within_larger_ones():
    splits = [tokenise(SEVERAL, RENDERER, max_seq_len=999, validation_questions=count, seed=5) for count in (0, 2, 5)]
    ids = np.array([one.question_id for data in SEVERAL for one in data.examples])
    held = [set(ids[split.validation_rows()]) for split in splits]
    assert [len(questions) for questions in held] == [0, 2, 5]
    assert held[1] < held[2]
    for split, questions in zip(splits, held, strict=True):
        trained = split.epoch(0, seed=1)
        assert not questions & set(ids[trained])
        assert set(ids) == questions | set(ids[trained])
    assert held[2] != set(
        ids[tokenise(SEVERAL, RENDERER, max_seq_len=999, validation_questions=5, seed=6).validation_rows()]
    )


def test_questions_in_two_datasets_are_held_back_in_both():
    data = [dataset(*(example(n, n) for n in range(9))), dataset(*(example(50 + n, n) for n in range(9)), name="e")]
    made = tokenise(data, RENDERER, max_seq_len=999, validation_questions=3)
    assert made.validation[:9].tolist() == made.validation[9:].tolist()
    assert made.validation.sum() == 6


def test_the_choice_of_validation_questions_does_not_depend_on_order():
    ids = [f"{n:016x}" for n in range(30)]
    assert choose_validation_questions(ids, 7, 0) == choose_validation_questions([*reversed(ids), *ids], 7, 0)


def test_an_epoch_draws_by_weight_from_what_is_trained_on():
    made = tokenise(SEVERAL, RENDERER, max_seq_len=999, validation_questions=3)
    drawn = made.epoch(0, seed=1)
    free = ~made.validation
    assert len(drawn) == made.epoch_rows == (free & (made.dataset == 0)).sum() + 2 * (free & (made.dataset == 1)).sum()
    assert sum(one.rows for one in made.by_domain()) == free.sum()


def test_tokens_are_counted_by_domain():
    made = tokenise(SEVERAL, RENDERER, max_seq_len=999, validation_questions=4)
    for number, domain in enumerate(made.by_domain()):
        rows = [made.row(i) for i in range(len(made)) if made.domain[i] == number and not made.validation[i]]
        assert domain.rows == len(rows)
        assert domain.tokens == sum(len(row.tokens) for row in rows)
        assert domain.learnt == sum(int(row.loss_mask.sum()) for row in rows)
        assert domain.validation_rows == int((made.validation & (made.domain == number)).sum())


@pytest.fixture
def renders(monkeypatch: pytest.MonkeyPatch) -> list[TrainingExample]:
    """The examples that are rendered from here on."""
    seen: list[TrainingExample] = []
    render = module.render

    def watched(one: TrainingExample, renderer: Renderer) -> Any:
        seen.append(one)
        return render(one, renderer)

    monkeypatch.setattr(module, "render", watched)
    return seen


def test_tokens_are_made_once_and_read_from_then_on(tmp_path, renders):
    first = tokenise(SEVERAL, RENDERER, max_seq_len=999, validation_questions=3, folder=tmp_path)
    assert len(renders) == 30
    again = tokenise(SEVERAL, RENDERER, max_seq_len=999, validation_questions=3, folder=tmp_path)
    assert len(renders) == 30
    assert equal(first, again)
    assert [file.name for file in tmp_path.iterdir()] == [f"tokens-{first.key[:16]}.npz"]


def test_another_weight_asks_for_the_same_tokens(tmp_path, renders):
    tokenise(SEVERAL, RENDERER, max_seq_len=999, folder=tmp_path)
    other = [SEVERAL[0], Dataset(name="poems", weight=7, examples=SEVERAL[1].examples)]
    made = tokenise(other, RENDERER, max_seq_len=999, folder=tmp_path)
    assert len(renders) == 30
    assert made.weights == (1, 7)
    assert made.epoch_rows == 20 + 7 * 10


def test_whatever_changes_the_tokens_changes_the_key():
    def key(data: Any = SEVERAL, renderer: Renderer = RENDERER, **changes: Any) -> str:
        return tokenise(data, renderer, **({"max_seq_len": 999, "validation_questions": 3, "seed": 0} | changes)).key

    changed = [dataset(*SEVERAL[0].examples[:-1], example(77)), SEVERAL[1]]
    keys = [
        key(),
        key(data=changed),
        key(data=[dataset(*SEVERAL[0].examples, *SEVERAL[1].examples)]),
        key(data=SEVERAL[::-1]),
        key(renderer=Renderer(CHATML, TOKENIZER)),
        key(renderer=Renderer(GEMMA, TOKENIZER, format="think")),
        key(renderer=Renderer(GEMMA, TOKENIZER, system="x")),
        key(renderer=Renderer(GEMMA, ByteTokenizer(first=9))),
        key(max_seq_len=998),
        key(validation_questions=4),
        key(seed=1),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 3
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, flipped, lambda _: b"", lambda _: b"PK\x03\x04 nonsense", lambda _: b"\x80"])
def test_a_broken_file_is_made_anew(damage, tmp_path, renders):
    first = tokenise(SEVERAL, RENDERER, max_seq_len=999, folder=tmp_path)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    file.write_bytes(damage(content))
    assert equal(first, tokenise(SEVERAL, RENDERER, max_seq_len=999, folder=tmp_path))
    assert len(renders) == 60
    assert equal(first, tokenise(SEVERAL, RENDERER, max_seq_len=999, folder=tmp_path))
    assert len(renders) == 60


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr("tunixhack.train.data.token_writer.MOST_IN_MEMORY", 200)
    monkeypatch.setattr("tunixhack.train.data.token_set.MOST_IN_MEMORY", 1000)


def test_tokens_that_the_memory_does_not_hold_are_the_same(tmp_path, renders, monkeypatch, request):
    options = {"max_seq_len": 1000, "validation_questions": 3}
    few = tokenise(SEVERAL, RENDERER, **options, folder=tmp_path / "few")
    request.getfixturevalue("little_memory")
    many = tokenise(SEVERAL, RENDERER, **options, folder=tmp_path / "many")
    assert isinstance(many.tokens, np.memmap)
    assert equal(few, many)
    assert equal(few, tokenise(SEVERAL, RENDERER, **options)), "without a folder"
    assert equal(few, tokenise(SEVERAL, RENDERER, **options, folder=tmp_path / "few")), "a file of an earlier version"
    assert len(renders) == 90
    (file,) = (tmp_path / "many").iterdir()
    monkeypatch.undo()
    assert sum(array.nbytes for array in np.load(file).values()) > 1000, "as numpy reads it"


@pytest.mark.parametrize("damage", [cut, flipped, lambda _: b"PK\x03\x04 nonsense"])
def test_a_broken_file_of_many_tokens_is_made_anew(damage, tmp_path, renders, little_memory):
    first = tokenise(SEVERAL, RENDERER, max_seq_len=999, folder=tmp_path)
    (file,) = tmp_path.iterdir()
    tokens = first.tokens.tolist()
    file.write_bytes(damage(file.read_bytes()))
    assert tokenise(SEVERAL, RENDERER, max_seq_len=999, folder=tmp_path).tokens.tolist() == tokens
    assert len(renders) == 60


def test_a_file_of_other_tokens_under_this_name_is_not_taken(tmp_path, renders):
    first = tokenise(SEVERAL, RENDERER, max_seq_len=999, folder=tmp_path / "a")
    tokenise(SEVERAL[:1], RENDERER, max_seq_len=999, folder=tmp_path / "b")
    (file,), (other,) = (tmp_path / "a").iterdir(), (tmp_path / "b").iterdir()
    file.write_bytes(other.read_bytes())
    assert equal(first, tokenise(SEVERAL, RENDERER, max_seq_len=999, folder=tmp_path / "a"))


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        tokenise(SEVERAL, RENDERER, max_seq_len=999, folder=tmp_path / "file")


def test_holding_back_everything_and_no_data_are_one_sentence():
    with pytest.raises(UserError, match="15 validation questions are asked for, and there are 15"):
        tokenise(SEVERAL, RENDERER, max_seq_len=999, validation_questions=15)
    with pytest.raises(UserError, match="no rows to learn from"):
        tokenise([dataset()], RENDERER, max_seq_len=999)


def test_progress_ends_with_all_rows():
    seen: list[tuple[int, int]] = []
    tokenise(SEVERAL, RENDERER, max_seq_len=999, progress=lambda done, total: seen.append((done, total)))
    assert (seen[0], seen[-1]) == ((0, 30), (30, 30))
