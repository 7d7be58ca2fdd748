"""Rows without those faults that can be mended: what is wrong with a text is taken out, or the row is left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from functools import partial
from typing import Any, Protocol

from tunixhack._util.texts import is_blank
from tunixhack.data_files.lint.text_checks import reread, without_control_tokens, without_invisible
from tunixhack.data_files.lint.turn_checks import without_doubled_tags
from tunixhack.data_files.shapes import TEXT, read_conversation
from tunixhack.train.data.rows import ANSWERS, QUESTIONS, TRACES, TURNS, listed_turns, speaker

Row = dict[str, Any]

_TEXT_KINDS = frozenset({"tags_twice", "control_tokens", "wrong_encoding", "invisible_characters"})
TURN_KINDS = frozenset({"no_reply", "empty_system"})
MENDABLE = _TEXT_KINDS | TURN_KINDS
"""The kinds of which a row is mended, and not left out at once."""


class _Mend(Protocol):
    def __call__(self, text: str, *, ours: bool) -> str: ...


_SAID = ("content", "value", "parts", "text", "message")


def mended(row: Mapping[str, Any], kinds: Collection[str]) -> Row:
    """Return a row without faults, as far as they can be taken out of its texts and turns.

    Args:
        row: as it was read; it stays as it is.
        kinds: the names of what was found in it.
    """
    new = deepcopy(dict(row))
    found = read_conversation(row)
    template = found is not None and found.kind in ("template", "text")
    mend = _mender(kinds, template)
    if template:
        new[TEXT] = mend(new[TEXT], ours=False)
        return new
    names = {str(name).casefold(): name for name in new}
    for plain, name in names.items():
        value = new[name]
        if plain in TURNS or (plain in QUESTIONS + ANSWERS and isinstance(value, list)):
            new[name] = _turns(value, kinds, mend)
        elif plain in ("system", "system_prompt", "context", *QUESTIONS, *ANSWERS, *TRACES):
            new[name] = _strings(value, partial(mend, ours=plain in ANSWERS + TRACES))
    return new


def _mender(kinds: Collection[str], template: bool) -> _Mend:
    def mend(text: str, *, ours: bool) -> str:
        if "wrong_encoding" in kinds:
            text = reread(text)
        if "invisible_characters" in kinds:
            text = without_invisible(text)
        if "control_tokens" in kinds and not template:
            text = without_control_tokens(text, ours)
        return without_doubled_tags(text) if "tags_twice" in kinds and (ours or template) else text

    return mend


def _turns(value: Any, kinds: Collection[str], mend: _Mend) -> Any:
    turns = listed_turns(value)
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        return value
    new = [_turn(turn, mend) for turn in turns]
    if "empty_system" in kinds:
        new = [turn for turn in new if speaker(turn) != "system" or _says_something(turn)]
    if "no_reply" in kinds:
        while new and speaker(new[-1]) == "user":
            new.pop()
    return (
        json.dumps(new, ensure_ascii=False)
        if isinstance(value, str) and new != turns
        else new
        if new != turns
        else value
    )


def _turn(turn: dict[str, Any], mend: _Mend) -> dict[str, Any]:
    ours = speaker(turn) in ("assistant", "trace")
    read = {*_SAID, *TRACES}
    return {name: _strings(value, partial(mend, ours=ours)) if name in read else value for name, value in turn.items()}


def _says_something(turn: Mapping[str, Any]) -> bool:
    return any(isinstance(turn.get(name), str) and not is_blank(turn[name]) for name in _SAID) or any(
        isinstance(turn.get(name), list) and turn[name] for name in _SAID
    )


def _strings(value: Any, mend: Callable[[str], str], depth: int = 0) -> Any:
    """Mend a text, or those of the parts of a list."""
    if isinstance(value, str):
        return mend(value)
    if depth > 6:
        return value
    if isinstance(value, list):
        return [_strings(one, mend, depth + 1) for one in value]
    if isinstance(value, dict):
        return {name: _strings(one, mend, depth + 1) if name != "type" else one for name, one in value.items()}
    return value
