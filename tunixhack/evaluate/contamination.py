"""The questions that students were trained on, so that a test leaves them out.

They are read out of the tokens that a training keeps in its folder: datasets may be gone or changed meanwhile, and the
tokens are what was learnt. A student's question is compared as text: letter case, white space and format characters
make no difference (`tunixhack.steps.exact_dedup.normalise`). Equal ids mean equal texts, hence are found as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from tunixhack.errors import UserError
from tunixhack.formats import user_message
from tunixhack.steps.exact_dedup import normalise
from tunixhack.train import record
from tunixhack.train.data.chat import Chat, broken
from tunixhack.train.data.datasets import read
from tunixhack.train.data.token_set import TokenSet, load
from tunixhack.train.models.tokenizer import StudentTokenizer
from tunixhack.train.record import TrainingRecord


class LearntTexts:
    """The questions that any arm was trained on.

    >>> learnt = LearntTexts()
    >>> learnt.add(["What is  rain?"])
    >>> learnt.have(pl.DataFrame({"question": ["what is rain?", "Why?"], "context": [None, None]}))
    [True, False]
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._texts: set[str] = set()

    def add(self, texts: Iterable[str]) -> None:
        """Add questions, with their context, as a student saw them."""
        self._texts.update(normalise(pl.Series(list(texts), dtype=pl.String)))

    def have(self, rows: pl.DataFrame) -> list[bool]:
        """Tell of each question whether an arm was trained on it."""
        asked = [user_message(*row) for row in rows.select("question", "context").iter_rows()]
        return [text in self._texts for text in normalise(pl.Series(asked, dtype=pl.String))]


def learnt_questions(folder: Path, chat: Chat, tokenizer: StudentTokenizer) -> list[str] | None:
    """Return the questions that a student was trained on, validation questions left out.

    Args:
        folder: of the training.
        chat: how the student's family marks who speaks.
        tokenizer: the student's.

    Returns:
        The texts, each once; None where neither the tokens nor the datasets of the training are there any more.
    """
    kept = record.read(folder)
    tokens = kept_tokens(folder, kept)
    if tokens is not None:
        return list(dict.fromkeys(_texts(tokens, chat, tokenizer)))
    try:
        examples = (example for one in kept.data.datasets for example in read(one.name).examples)
        return list(dict.fromkeys(example.question for example in examples))
    except UserError:
        return None


def kept_tokens(folder: Path, kept: TrainingRecord) -> TokenSet | None:
    """Return the tokens that a training keeps in its folder; None where they are gone or damaged."""
    weights = tuple(one.weight for one in kept.data.datasets)
    path = folder / f"tokens-{kept.data.key[:16]}.npz"
    return load(path, kept.data.key, weights) if path.exists() else None


def _texts(tokens: TokenSet, chat: Chat, tokenizer: StudentTokenizer) -> Iterator[str]:
    """Yield the text of the last question of every row that was trained on, once of rows with one prompt in a row."""
    start, end = (tokenizer.control_ids[one] for one in (chat.start, chat.end))
    markers = sorted({*chat.markers, *(token for token in tokenizer.control_ids if len(token) > 1)})
    before: bytes | None = None
    for number in range(len(tokens)):
        if tokens.validation[number]:
            continue
        row = tokens.row(number)
        prompt = row.tokens[: int(row.loss_mask.argmax())]
        if prompt.tobytes() == before:  # another answer to the same question
            continue
        before, given = prompt.tobytes(), prompt.tolist()
        question = [at for at, token in enumerate(given) if token == start][-2]  # the last turn is the reply's
        text = tokenizer.decode(given[question + 1 : given.index(end, question)]).removeprefix("user\n")
        for marker in markers:  # content never spells one: a renderer breaks it
            text = text.replace(broken(marker), marker)
        yield text
        while chat.system is None and "\n\n" in text:  # a system text may stand before the question
            text = text.partition("\n\n")[2]
            yield text
