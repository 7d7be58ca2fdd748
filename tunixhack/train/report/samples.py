"""The same validation questions before and after a training, and how a person sees them.

What a student wrote is hostile: neither markup nor control characters in it have any effect where it is shown.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAVY
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunixhack._util.files import write_json
from tunixhack._util.safe_text import for_terminal
from tunixhack._util.wording import counted
from tunixhack.errors import UserError
from tunixhack.train.inference.format_compliance import StudentReply

FILE = "samples.json"
SHOWN = 800
"""Characters of a reply that are shown on a terminal."""


@dataclass(frozen=True, kw_only=True)
class ComparedReplies:
    """A question and what a student said to it."""

    question: str
    """As the student was asked it, with its context."""
    domain: str | None = None
    before: StudentReply | None = None
    """The base's reply; None where it was not asked."""
    after: StudentReply | None = None
    """The trained student's; None before the training has ended."""

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-able."""
        return {
            "question": self.question,
            "domain": self.domain,
            "before": self.before._asdict() if self.before else None,
            "after": self.after._asdict() if self.after else None,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ComparedReplies:
        """Read what `as_dict` wrote.

        Raises:
            UserError: it is none.
        """
        try:
            replies = {name: StudentReply(**content[name]) if content[name] else None for name in ("before", "after")}
            texts = [content["question"], *(reply.text for reply in replies.values() if reply)]
            if not all(isinstance(text, str) for text in texts):
                raise TypeError
            return cls(question=content["question"], domain=content["domain"], **replies)
        except (KeyError, TypeError) as error:
            raise UserError(f"{FILE} holds something that is no sample: delete the file, and train on") from error


def write(folder: Path, samples: Sequence[ComparedReplies]) -> None:
    """Replace a training's samples as a whole."""
    write_json(folder / FILE, [sample.as_dict() for sample in samples])


def read(folder: Path) -> list[ComparedReplies]:
    """Read a training's samples; none where it has not written any.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}): delete it, and train on") from error
    return [ComparedReplies.from_dict(one) for one in (found if isinstance(found, list) else [found])]


def side_by_side(samples: Sequence[ComparedReplies], width: int = 100) -> str:
    """Write samples as plain text for a terminal, what was said before beside what was said after.

    Args:
        samples: in the order they are shown.
        width: columns of the terminal.

    Returns:
        Lines of at most that width, each with an end; the empty text without samples.
    """
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False, highlight=False)
    for number, sample in enumerate(samples, 1):
        domain = f" ({sample.domain})" if sample.domain else ""
        console.print(Text(printable(f"question {number}{domain}: {sample.question}")))
        both = [reply for reply in (sample.before, sample.after) if reply is not None]
        names = [name for name in ("before", "after") if getattr(sample, name) is not None]
        table = Table(box=SIMPLE_HEAVY, expand=True, pad_edge=False)
        for name, reply in zip(names, both, strict=True):
            table.add_column(f"{name}: {_length(reply)}", ratio=1, overflow="fold")
        table.add_row(*(Text(_shortened(printable(reply.text))) for reply in both))
        console.print(table)
    written: str = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
    return "".join(f"{line.rstrip()}\n" for line in written.splitlines())


def printable(text: str) -> str:
    r"""Return text whose characters are all seen: no escape sequences, and nothing that turns how it is read.

    >>> printable("a\x1b[31mb\u202ec\td") == "a\ufffd[31mb\ufffdc d"
    True
    """
    return for_terminal(text, lines=True)


def _length(reply: StudentReply) -> str:
    return counted(reply.tokens, "token") + ("" if reply.finished else ", cut off")


def _shortened(text: str) -> str:
    text = re.sub(r"\n\s*\n+", "\n\n", text)  # a student that knows nothing writes pages of empty lines
    more = len(text) - SHOWN
    return text if more <= 0 else f"{text[:SHOWN]}…\n({more:,} more characters)"
