"""Faults within texts: control tokens, loops, cut ends, broken characters, and answers that are none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import polars as pl

from tunixhack._util.texts import FORMAT, trim, without_format_characters
from tunixhack.data_files.lint.turn_checks import Found
from tunixhack.replies.control_tokens import clean
from tunixhack.replies.loops import LEAST, TIMES, loops_at_end
from tunixhack.replies.markers import STRUCTURE

_TOKEN = (
    r"<\||<\x{ff5c}|</?s>|\[/?(?:INST|SYSTEM_PROMPT)\]|<</?SYS|\[gMASK|\[\||\[e~\[|\]~|\[(?:EOS|BOS|EOT|unused|UNUSED|TOOL|AVAIL)"
    r"|<(?:start_of|end_of|bos>|eos>|pad>|eod>|sop>|eop>|eot>|eom>|eoa>|seed:|unused|extra_id|SPECIAL|reserved|turn|channel|think\||tool)"
)
"""What any control token looks like at least; `control_tokens.clean` decides."""
_INVISIBLE = rf"[\x00-\x08\x0e-\x1f\x7f-\x{{84}}\x{{86}}-\x{{9f}}{FORMAT.replace(chr(92), chr(92))}]"
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_MOJIBAKE = re.compile(
    "(?:[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]{1,3})+"
)
_BROKEN = r"[\u00c2\u00c3][\u0080-\u00bf\u20ac\u2122\u0161\u0153\u0178\u017e]|\u00e2\u20ac"
_ENDS_WITHIN = r"(?:,|[A-Za-z]-|\b(?:and|or|the|an|because))\z"
"""Behind a word such as "to" or "a", a sentence can end, as a formula can."""
_INVENTED = r"\n\s*(?:#+ *)?(?:\*\*)?(?:Human|User) ?:(?:.|\n)*\n\s*(?:#+ *)?(?:\*\*)?(?:Assistant|AI) ?:"
_PLACEHOLDER = (
    r"(?i)\A(?:nan|null|undefined|todo|n/?a|tbd|lorem ipsum.*"
    r"|\[(?:insert )?(?:your )?answer(?: here)?\]|<?no answer>?)\.?\z"
)
_REFUSAL = (
    r"(?i)\A(?:i'?m|i am|we'?re)? ?(?:sorry|afraid|unable)[^.\n]{0,40}\b(?:can'?t|cannot|unable|not able|won'?t)\b"
    r"|\Ai (?:can'?t|cannot|am unable to|'m unable to|am not able to) (?:assist|help|provide|fulfil|comply|answer)"
    r"|\bas an ai (?:language )?model\b|\bas a (?:large )?language model\b"
)
_ROOM = 400
"""Characters at the beginning in which a refusal is looked for."""
_TAIL = 24
"""Characters of a text's end that have to stand in it before, where it ends in a loop."""


def text_faults(turns: pl.DataFrame) -> Iterator[Found]:
    """Find faults of a batch's texts."""
    answers = turns.filter(pl.col("answer").is_not_null() & pl.col("problem").is_null())
    yield "control_tokens", _confirmed(turns, "text", pl.col("text").str.contains(_TOKEN), None)
    yield (
        "invisible_characters",
        _confirmed(turns, "text", _foreign() & pl.col("text").str.contains(_INVISIBLE), shows_less),
    )
    yield "wrong_encoding", _confirmed(turns, "text", _foreign() & pl.col("text").str.contains(_BROKEN), is_misread)
    yield "lost_characters", _rows(turns, _foreign() & pl.col("text").str.contains("\ufffd", literal=True))
    newline = pl.col("text").str.contains("\n", literal=True)
    escaped = pl.col("text").str.count_matches(r"\\n[^a-z\\]|\\n\\n") > 1
    yield "escaped_newlines", _rows(turns, ~newline & escaped & ~pl.col("text").str.contains("[`'\"]"))
    yield "invented_turn", _rows(answers, pl.col("answer").str.contains(_INVENTED))
    yield (
        "truncated_end",
        _rows(
            answers, pl.col("answer").str.tail(60).str.contains(_ENDS_WITHIN) & (pl.col("answer").str.len_bytes() > 80)
        ),
    )
    yield (
        "unclosed_code",
        _confirmed(answers, "answer", pl.col("answer").str.count_matches(r"(?m)^\s*```") % 2 == 1, is_unclosed),
    )
    yield (
        "placeholder",
        _rows(
            answers, pl.col("answer").str.head(60).str.contains(_PLACEHOLDER) & (pl.col("answer").str.len_bytes() < 60)
        ),
    )
    yield "refusal", _rows(answers, pl.col("answer").str.head(_ROOM).str.contains(_REFUSAL))
    same = pl.col("thought").str.strip_chars() == pl.col("answer").str.strip_chars()
    yield "thought_repeats_answer", _rows(answers, same.fill_null(False) & (pl.col("answer").str.len_bytes() > 20))
    question = pl.col("text").str.strip_chars().shift(1)
    echoed = (
        (pl.col("speaker") == "assistant") & (pl.col("answer") == question) & (pl.col("row") == pl.col("row").shift(1))
    )
    yield "answer_repeats_question", _rows(turns, echoed.fill_null(False) & (pl.col("answer").str.len_bytes() > 20))
    loops = [_confirmed(turns, column, _perhaps_looped(column), loops_at_end) for column in ("thought", "answer")]
    loops.append(_confirmed(turns.filter(pl.col("answer").is_null()), "text", _perhaps_looped("text"), loops_at_end))
    yield "loop", pl.concat([one.cast(pl.UInt32) for one in loops]).unique()


def _foreign() -> pl.Expr:
    """Tell cheaply which texts can have more than printable ASCII in them."""
    return (pl.col("text").str.len_bytes() != pl.col("text").str.len_chars()) | pl.col("text").str.contains(
        r"[\x00-\x08\x0e-\x1f\x7f]"
    )


def _rows(turns: pl.DataFrame, expression: pl.Expr) -> pl.Series:
    return turns.filter(expression)["row"].unique()


def _confirmed(turns: pl.DataFrame, column: str, perhaps: pl.Expr, check: Callable[[str], bool] | None) -> pl.Series:
    """Look at the few texts that may have a fault one by one; without a check, for control tokens."""
    few = turns.filter(perhaps.fill_null(False)).select("row", "speaker", column)
    found = [
        row
        for row, speaker, text in few.iter_rows()
        if (check(text) if check else has_control_token(text, speaker == "assistant"))
    ]
    return pl.Series(found, dtype=pl.UInt32).unique()


def has_control_token(text: str, ours: bool) -> bool:
    """Tell whether a text holds a control token; of an assistant's turn, the marks of a trace are none."""
    found = clean(text, STRUCTURE if ours else None)
    return found.token is not None or trim(found.text) != trim(text)


def without_control_tokens(text: str, ours: bool) -> str:
    """Take control tokens off both ends of a text."""
    return clean(text, STRUCTURE if ours else None).text if has_control_token(text, ours) else text


def shows_less(text: str) -> bool:
    """Tell whether a text holds characters that show nothing and do nothing."""
    return without_invisible(text) != text


def without_invisible(text: str) -> str:
    r"""Leave out control and format characters that show nothing.

    >>> without_invisible("so\u00adlid\u200b\x00")
    'solid'
    """
    return _CONTROLS.sub("", without_format_characters(text))


def is_misread(text: str) -> bool:
    """Tell whether UTF-8 was read as Windows-1252 or Latin-1 somewhere in a text."""
    return reread(text) != text


def reread(text: str) -> str:
    r"""Read again what UTF-8 became when it was read as Windows-1252 or Latin-1.

    >>> reread("caf\u00c3\u00a9, it\u00e2\u20ac\u2122s") == "caf\u00e9, it\u2019s"
    True
    """
    return _MOJIBAKE.sub(_reread, text)


def _reread(found: re.Match[str]) -> str:
    raw = bytearray()
    for character in found[0]:
        try:
            raw += character.encode("cp1252")
        except UnicodeEncodeError:
            if ord(character) > 255:
                return found[0]
            raw.append(ord(character))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return found[0]


def is_unclosed(text: str) -> bool:
    """Tell whether the last code fence of a text opens a block."""
    opened = ""
    for line in re.findall(r"^[ \t>]*(`{3,}[^`\n]*)$", text, re.MULTILINE):
        fence = "`" * (len(line) - len(line.lstrip("`")))
        if not opened:
            opened = fence
        elif len(fence) >= len(opened) and not line.strip("` \t\r"):
            opened = ""
    return bool(opened)


def _perhaps_looped(column: str) -> pl.Expr:
    text = pl.col(column)
    tail = text.str.tail(_TAIL)
    return (text.str.len_bytes() >= LEAST) & (text.str.count_matches(tail, literal=True) >= TIMES - 1)
