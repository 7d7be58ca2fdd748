"""Good rows in the shapes that public datasets have, and rows with one fault each."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]

SUBJECTS = ("iron", "bread", "rain", "paper", "glass", "soap", "sugar", "steel", "wool", "salt", "copper", "honey")


def example(number: int) -> tuple[str, str, str]:
    """Return a question, a thought and an answer, different for each number."""
    subject = SUBJECTS[number % len(SUBJECTS)]
    question = f"What happens to {number} g of {subject} when it is heated, and why does it matter?"
    thought = (
        f"The question is about {subject}. At {number} degrees its parts move faster, so bonds loosen.\n\n"
        f"Let me check that against case {number}: if a < b and c[0] > 2, heat flows from b to a. That is right."
    )
    answer = (
        f"Heated {subject} changes slowly at first:\n\n1. it warms by {number} K,\n2. it softens.\n\n"
        f"```python\nprint({number}, '<b>')\n```\n\nSo $x_{{{number}}} = \\frac{{1}}{{2}}$ holds for {subject}."
    )
    return question, thought, answer


def turns(number: int, system: bool = False) -> list[dict[str, Any]]:
    question, thought, answer = example(number)
    said = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": f"<think>\n{thought}\n</think>\n\n{answer}"},
    ]
    return [{"role": "system", "content": "Think first."}, *said] if system else said


def sharegpt(number: int) -> Row:
    user, assistant = turns(number)
    return {
        "conversations": [
            {"from": "human", "value": user["content"]},
            {"from": "gpt", "value": assistant["content"]},
        ]
    }


def openthoughts(number: int) -> Row:
    question, thought, answer = example(number)
    said = (
        f"<|begin_of_thought|>\n\n{thought}\n\n<|end_of_thought|>\n\n"
        f"<|begin_of_solution|>\n\n{answer}\n\n<|end_of_solution|>"
    )
    return {
        "system": "Work in two parts.",
        "conversations": [{"from": "user", "value": question}, {"from": "assistant", "value": said}],
    }


def apart(number: int) -> Row:
    question, thought, answer = example(number)
    reply = {"role": "assistant", "reasoning_content": thought, "content": answer}
    return {"messages": [{"role": "user", "content": question}, reply]}


def columns(number: int) -> Row:
    return dict(zip(("question", "reasoning", "answer"), example(number), strict=True))


def alpaca(number: int) -> Row:
    question, _, answer = example(number)
    return {"instruction": question, "input": "" if number % 2 else f"Note {number}.", "output": answer}


def prompt_completion(number: int) -> Row:
    user, assistant = turns(number)
    return {"prompt": user["content"], "completion": assistant["content"]}


def prompt_turns(number: int) -> Row:
    user, assistant = turns(number)
    return {"prompt": [user], "completion": [assistant]}


def parts(number: int) -> Row:
    user, assistant = turns(number)
    return {
        "messages": [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in (user, assistant)]
    }


def many_turns(number: int) -> Row:
    return {"messages": [*turns(number, system=True), *turns(number + 1000)]}


def hackathon(number: int) -> Row:
    question, thought, answer = example(number)
    said = f"<reasoning>{thought}</reasoning>\n<answer>{answer}</answer>"
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": said}]}


def template(number: int) -> Row:
    said = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in turns(number, system=True))
    return {"text": said}


def json_text(number: int) -> Row:
    return {"messages": json.dumps(turns(number))}


SHAPES: dict[str, Callable[[int], Row]] = {
    "messages": lambda number: {"messages": turns(number)},
    "messages with system": lambda number: {"messages": turns(number, system=True)},
    "sharegpt": sharegpt,
    "openthoughts": openthoughts,
    "apart": apart,
    "columns": columns,
    "alpaca": alpaca,
    "prompt and completion": prompt_completion,
    "prompt and completion as turns": prompt_turns,
    "parts": parts,
    "many turns": many_turns,
    "hackathon": hackathon,
    "template": template,
    "JSON text": json_text,
}
"""Good rows by the name of their shape, each made for a number."""

LONG = "So we go round and round the same old house again. "


def said(user: str | None, assistant: str | None, number: int = 900, **row: Any) -> Row:
    """Return a row of a user's and an assistant's turn."""
    if user is None:
        user = f"Why is this one number {number}?"
    return {"messages": [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}], **row}


HOUSE = "Why does the house stand here, of all places?"
WHY = "<think>It has to be so.</think>"
PLANTED: dict[str, Row | bytes] = {
    "unreadable": b'{"messages": [{"role": "us',
    "not_unicode": said(None, f"{WHY}Half \ud83d of it."),
    "unknown_columns": {"id": 7, "label": "x"},
    "mixed_shapes": {"question": "Why?", "reasoning": "It has to be so.", "answer": "Because it is."},
    "no_turns": {"messages": []},
    "null_turn": said(None, None),
    "unknown_role": {"messages": [*turns(901), {"role": "narrator", "content": "And so it was."}]},
    "roles_out_of_order": {"messages": [*turns(902)[:1], *turns(902)]},
    "no_reply": {"messages": [*turns(903), {"role": "user", "content": "And then?"}]},
    "empty_system": {"messages": [{"role": "system", "content": " \n"}, *turns(904)]},
    "empty_question": said(" \n", f"{WHY}Because it is."),
    "empty_reply": said(None, ""),
    "thought_without_answer": said(None, f"{WHY}\n"),
    "answer_without_thought": said(None, "Because it is."),
    "empty_thought": said(None, "<think>\n\n</think>\n\nBecause it is."),
    "broken_tags": said(None, "<think>It has to be so. Because it is."),
    "tags_twice": said(None, "<think><think>It has to be so.</think>Because it is."),
    "control_tokens": said(None, f"{WHY}Because it is.<|im_end|>"),
    "invented_turn": said(None, f"{WHY}Because it is.\n\nHuman: And why?\n\nAssistant: Because."),
    "loop": said(None, f"{WHY}{LONG * 12}"),
    "cut_off": said(None, f"{WHY}Because it is.", finish_reason="length"),
    "truncated_end": said(None, f"{WHY}{LONG * 2}It is known that the house is large, old and"),
    "unclosed_code": said(None, f"{WHY}See:\n\n```python\nprint(1)\n"),
    "duplicate_row": {"messages": turns(0)},
    "answer_repeats_question": said(HOUSE, f"{WHY}{HOUSE}"),
    "thought_repeats_answer": said(None, f"<think>{HOUSE}</think>{HOUSE}"),
    "placeholder": said(None, f"{WHY}N/A"),
    "refusal": said(None, f"{WHY}I'm sorry, but I can't help with that."),
    "wrong_encoding": said(None, f"{WHY}In the caf\u00c3\u00a9 it\u00e2\u20ac\u2122s warm."),
    "lost_characters": said(None, f"{WHY}In the caf\ufffd it is warm."),
    "invisible_characters": said(None, f"{WHY}It is so\u00adlid\u200b and\x00 warm."),
    "escaped_newlines": said(None, f"{WHY}First this.\\n\\n1. Then that.\\n2. Then the other."),
}  # fmt: skip
"""A row, or a line, with each kind of fault that is looked for without being asked."""


def lines(rows: list[Row | bytes]) -> bytes:
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)
