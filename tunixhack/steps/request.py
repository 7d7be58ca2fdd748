"""The request that a step makes to a teacher."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tunixhack.errors import UserError

if TYPE_CHECKING:
    from tunixhack.teachers.base import Teacher

PROBE = -1
"""The sample number of a probe: no sample, so that the store never takes one for the other (contract 8)."""
SCHEMA = "response_format"
"""The parameter by which a request's body has a schema."""
OURS = ("seed", "n")
"""Sampling parameters that the run sets itself."""
ROW_COLUMNS = ("request", "row_sample")
"""What an answer to a step has besides `journal.FIELDS`: the place of its request among those asked, and the sample of
the row that the request belongs to, null where that is a question."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Messages for a teacher, and which samples of its answer are wanted.

    A request belongs to a row, which is a question or one of its answers: a judge of each of 16 answers makes 16
    requests. What it does not say is as in all requests to that teacher.

    >>> row = {"question_id": "00ff", "sample": 3, "answer": "Rain."}
    >>> messages = [{"role": "user", "content": f"Grade from 1 to 5: {row['answer']}"}]
    >>> request = Request(row=row, messages=messages, samples=[0], sampling={"temperature": 0.0}, max_tokens=16)
    >>> request.question_id, request.row_sample
    ('00ff', 3)
    """

    messages: Sequence[Mapping[str, str]]
    """Chat messages: ``role`` (system, user, assistant) and ``content``."""
    samples: Sequence[int]
    """Sample numbers from 0, or `PROBE` alone."""
    row: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    """The row that it belongs to, by its ``question_id``, and by its ``sample`` where it is an answer."""
    question_id: str = ""
    """The question that it belongs to, in place of a row."""
    row_sample: int | None = None
    """The answer of that question that it belongs to; None where it belongs to the question. Taken from the row."""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the request's body over the teacher's, such as ``{"temperature": 0.0}``."""
    schema: Mapping[str, Any] | None = None
    """The JSON schema that the answer must follow. A server that refuses one (``response_format``) is asked without it,
    which is said: the messages should ask for the form as well, and an answer is not sure to have it."""
    grammar: str | None = None
    """The GBNF grammar that the answer must follow, where the server takes one (llama.cpp's does); an empty one lifts
    the grammar of the embedded teacher's written traces."""
    max_tokens: int | None = None
    """The limit of the answer, in place of the teacher's."""
    thinking: bool = True
    """Whether the teacher may think first; False switches its thinking off where its server is known to take that."""

    def __post_init__(self) -> None:
        """Take question and sample from the row.

        Raises:
            UserError: the request belongs to no question, sets what the run sets, or contradicts itself.
        """
        if self.row is not None:
            question, sample = self.row.get("question_id"), self.row.get("sample")
            object.__setattr__(self, "question_id", self.question_id or question or "")
            object.__setattr__(self, "row_sample", sample)
        if not self.question_id:
            raise UserError("a Request belongs to a row: give row=…, which has a question_id, or question_id=…")
        for name in OURS:
            if name in self.sampling:
                raise UserError(f"the sampling of a Request has {name!r}, which the run sets for every request")
        if self.schema is not None and self.grammar:
            raise UserError("a Request has a schema and a grammar: an answer can be held to one of them, so give one")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise UserError(f"max_tokens={self.max_tokens} of a Request: an answer needs at least one token")

    def sampling_of(self, teacher: Teacher) -> dict[str, Any]:
        """Return all parameters with which a teacher is asked this, without seed and n: part of the request's key."""
        limit = {} if self.max_tokens is None else {teacher.limit_name: self.max_tokens}
        thinking = {} if self.thinking else teacher.thinking_off
        schema: dict[str, Any] = {}
        if self.schema is not None:
            described = {"name": "answer", "strict": True, "schema": dict(self.schema)}
            schema = {SCHEMA: {"type": "json_schema", "json_schema": described}}
        return {**teacher.sampling, **thinking, **self.sampling, **limit, **schema}

    def grammar_of(self, teacher: Teacher) -> str | None:
        """Return the grammar that the answer is held to: part of the request's key."""
        if self.schema is not None:
            return None  # llama.cpp takes one or the other
        return teacher.grammar if self.grammar is None else self.grammar or None

    def parameters(self, teacher: Teacher) -> dict[str, Any]:
        """Return the parameters that differ from the teacher's own, as they stand in the body of the request.

        A grammar of the teacher's that does not hold here is null: it is left out of the body. So is the schema where
        the server takes none; it stays in the request's key, which says what is asked for.
        """
        own = self.sampling_of(teacher)
        if not teacher.takes_schema:
            own.pop(SCHEMA, None)
        differ = {name: value for name, value in own.items() if _differs(value, teacher.sampling.get(name, _NOTHING))}
        grammar = self.grammar_of(teacher)
        return differ if grammar == teacher.grammar else differ | {"grammar": grammar}


_NOTHING = object()


def _differs(one: Any, other: Any) -> bool:
    if one is other:  # as most are, which come out of the teacher's own
        return False
    return other is _NOTHING or json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True)
