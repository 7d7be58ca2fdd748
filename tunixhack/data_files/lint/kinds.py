"""The kinds of faults that are looked for, each in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
Mending = Literal["", "the row is dropped", "the text is mended, or else the row is dropped"]
DROPS: Mending = "the row is dropped"
MENDS: Mending = "the text is mended, or else the row is dropped"


@dataclass(frozen=True)
class Kind:
    """A kind of fault."""

    name: str
    sentence: str
    severity: Severity = "error"
    mending: Mending = ""
    """What ``--fix`` does; nothing where it is empty."""


KINDS = (
    Kind("unreadable", "The row cannot be read: broken JSON, no object, or bytes that are not UTF-8.", mending=DROPS),
    Kind("not_unicode", "A text holds half a surrogate pair, which no tokenizer takes.", mending=DROPS),
    Kind("unknown_columns", "There is no column with turns, or with a question and an answer, that is read."),
    Kind("mixed_shapes", "The row has another shape than most rows of the file.", "warning"),
    Kind("no_turns", "The list of turns is empty.", mending=DROPS),
    Kind("null_turn", "A turn has no text at all: null, or a value of another type.", mending=DROPS),
    Kind("unknown_role", "A turn's role is none of system, user, assistant or tool, by any of their names."),
    Kind("roles_out_of_order", "The turns are not user and assistant in alternation behind at most a system text."),
    Kind("no_reply", "The last turn is the user's.", mending=MENDS),
    Kind("empty_system", "A system turn is blank.", "warning", MENDS),
    Kind("empty_question", "A user's turn is blank.", mending=DROPS),
    Kind("empty_reply", "An assistant's turn has neither thought nor answer.", mending=DROPS),
    Kind("thought_without_answer", "An assistant's turn has a thought and no answer.", mending=DROPS),
    Kind("answer_without_thought", "An answer has no thought, while most replies of the file have one.", "warning"),
    Kind("empty_thought", "The marks of a thought have nothing between them, while most replies have one.", "warning"),
    Kind("broken_tags", "The tags around thought and answer do not pair, or stand where the two cannot be told apart."),
    Kind("tags_twice", "A tag around the thought or the answer is there twice.", mending=MENDS),
    Kind(
        "control_tokens", "A text holds a control token such as <|im_end|> or [INST], outside of code.", mending=MENDS
    ),
    Kind("invented_turn", "An answer goes on with turns of Human or User and Assistant within its text.", "warning"),
    Kind("loop", "A text repeats one passage again and again to its end.", mending=DROPS),
    Kind("cut_off", "The row's finish_reason says that a limit ended the answer.", mending=DROPS),
    Kind("truncated_end", "An answer ends within a sentence: behind a comma, or a word such as 'and'.", "warning"),
    Kind("unclosed_code", "A code block is opened and not closed.", "warning"),
    Kind("duplicate_row", "An earlier row has the same turns, but for case and white space.", "warning", DROPS),
    Kind("answer_repeats_question", "The answer is the question again.", "warning"),
    Kind("thought_repeats_answer", "The thought is the answer again.", "warning"),
    Kind("placeholder", "The whole answer is a placeholder such as null, NaN, N/A or TODO.", "warning"),
    Kind("refusal", "The answer begins by refusing, or by what it is as a language model.", "warning"),
    Kind("wrong_encoding", "A text was read in the wrong encoding: Ã© where é was meant.", "warning", MENDS),
    Kind("lost_characters", "A text holds U+FFFD, which stands for a character that was lost.", "warning"),
    Kind("invisible_characters", "A text holds control or format characters that show nothing.", "warning", MENDS),
    Kind("escaped_newlines", "A text has line breaks spelt as backslash and n, and none that is one.", "warning"),
    Kind("over_long", "The row has more tokens than asked for; with --student.", "warning", DROPS),
    Kind("contamination", "The question repeats one of a benchmark; with --against.", mending=DROPS),
    Kind("wrong_language", "The answer is in another language than asked for; with --language.", "warning"),
)
"""Every kind, in the order in which they are reported."""

BY_NAME = {kind.name: kind for kind in KINDS}
MENDED = frozenset(kind.name for kind in KINDS if kind.mending)
"""The names of those that ``--fix`` leaves none of."""
