"""The jinja template that an exported student carries: it writes what `tunixhack.train.data.chat` trained it under.

It uses only what the chat engines of transformers, vLLM and llama.cpp have in common: ``split`` and ``join`` rather
than ``replace``, no slices of text, no calls but ``raise_exception``.
"""

from __future__ import annotations

import json

from tunixhack.train.data.chat import Renderer, broken


def chat_template(renderer: Renderer) -> str:
    """Write the template of a renderer: its turns, its system text, and what it does to control tokens in content.

    Rendered with ``messages``, ``bos_token`` and ``add_generation_prompt`` it is, character for character, what the
    renderer's prompts are tokens of. An assistant's turn in ``messages`` loses the white space around it, as every
    turn does.
    """
    chat = renderer.chat
    breaking = [
        f"{{%- set text = text.split({_quoted(marker)}) | join({_quoted(broken(marker))}) -%}}"
        for marker in renderer.markers
    ]
    folded = "system ~ '\\n\\n' ~ content if loop.first and system else content"
    return "\n".join(
        [
            "{%- macro clean(text) -%}",
            "{%- set text = text | trim -%}",
            *breaking,
            "{{- text -}}",
            "{%- endmacro -%}",
            *(["{{- bos_token -}}"] if chat.bos else []),
            "{%- if messages and messages[0]['role'] == 'system' -%}",
            "{%- set system = clean(messages[0]['content']) -%}",
            "{%- set turns = messages[1:] -%}",
            "{%- else -%}",
            f"{{%- set system = clean({_quoted(renderer.system or '')}) -%}}",
            "{%- set turns = messages -%}",
            "{%- endif -%}",
            *([_turn(chat.start, chat.end, _quoted(chat.system), "system", when="system")] if chat.system else []),
            "{%- for message in turns -%}",
            "{%- if message['role'] != ('user' if loop.index0 % 2 == 0 else 'assistant') -%}",
            "{{- raise_exception('the turns must be user and assistant in turn, the user first') -}}",
            "{%- endif -%}",
            "{%- set content = clean(message['content']) -%}",
            f"{{%- set speaker = 'user' if message['role'] == 'user' else {_quoted(chat.assistant)} -%}}",
            _turn(chat.start, chat.end, "speaker", "content" if chat.system else f"({folded})"),
            "{%- endfor -%}",
            "{%- if add_generation_prompt -%}",
            f"{{{{- {_quoted(f'{chat.start}{chat.assistant}')} ~ '\\n' -}}}}",
            "{%- endif -%}",
        ]
    )


def _turn(start: str, end: str, speaker: str, text: str, when: str | None = None) -> str:
    """Write a turn; ``speaker`` and ``text`` are expressions, and ``when`` one that must hold."""
    turn = f"{{{{- {_quoted(start)} ~ {speaker} ~ '\\n' ~ {text} ~ {_quoted(end)} ~ '\\n' -}}}}"
    return f"{{%- if {when} -%}}\n{turn}\n{{%- endif -%}}" if when else turn


def _quoted(text: str) -> str:
    """Write text as a string of the template, whose escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False)
