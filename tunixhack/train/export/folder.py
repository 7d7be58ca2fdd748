"""The content of a Hugging Face folder beside the weights: config, tokenizer, chat template, end tokens, terms."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunixhack.errors import UserError
from tunixhack.train.data.chat import Renderer
from tunixhack.train.data.chat_template import chat_template
from tunixhack.train.models.base_model import Base
from tunixhack.train.models.hf_config import read_json

TERMS = ("LICENSE*", "LICENCE*", "NOTICE*", "*TERMS*", "USE_POLICY*")
"""Files that go with the weights wherever these go."""


@dataclass(frozen=True)
class Ends:
    """The two tokens that end what a student writes."""

    turn: int
    """Behind a reply: what was trained."""
    text: int
    """Behind a text: what the base learnt before anyone spoke with it; ``turn`` where a family has one only."""

    @classmethod
    def of(cls, base: Base) -> Ends:
        """Find them in a student's tokenizer.

        Raises:
            UserError: it lacks one.
        """
        ids = []
        for stop in base.family.stops:
            id = base.tokenizer.token(stop)
            if id is None:
                raise UserError(f"the tokenizer in {base.folder} has no {stop}: use the one that came with the model")
            ids.append(id)
        return cls(turn=ids[0], text=ids[-1])

    @property
    def ids(self) -> list[int]:
        """Both, the text's first, as the Hub's own folders have them."""
        return list(dict.fromkeys((self.text, self.turn)))


def write_beside_weights(folder: Path, base: Base, renderer: Renderer) -> None:
    """Write all files of a Hugging Face folder but the weights.

    Args:
        folder: exists.
        base: the student before training, whose files are copied.
        renderer: what the student was trained under; it becomes the chat template.

    Raises:
        UserError: a file of the base cannot be read.
        OSError: the disk is full.
    """
    base.tokenizer.copy_to(folder)
    copy_terms(folder, base)
    ends = Ends.of(base)
    description = {**base.description, "eos_token_id": ends.ids, "torch_dtype": "float32"}
    if "dtype" in description:  # its newer name
        description["dtype"] = "float32"
    _write(folder / "config.json", description)
    generation = read_json(base.folder / "generation_config.json")
    generation |= {"eos_token_id": ends.ids, "pad_token_id": base.tokenizer.pad_id()}
    if (bos := base.tokenizer.bos_id()) is not None:
        generation["bos_token_id"] = bos
    _write(folder / "generation_config.json", generation)
    template = chat_template(renderer)
    _write(folder / "tokenizer_config.json", {**_tokenizer_config(base), "chat_template": template})
    # newer programs read this file, older ones the entry above
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def copy_terms(folder: Path, base: Base) -> None:
    """Copy the licence and terms of the base, which hold for whatever was made of its weights."""
    for pattern in TERMS:
        for source in sorted(base.folder.glob(pattern)):
            if source.is_file():
                shutil.copyfile(source, folder / source.name)


def _tokenizer_config(base: Base) -> Mapping[str, Any]:
    tokenizer = base.tokenizer
    if found := tokenizer.described():
        return found
    ids = {"eos_token": tokenizer.eos_id(), "pad_token": tokenizer.pad_id(), "bos_token": tokenizer.bos_id()}
    named = {role: tokenizer.decode([id]) for role, id in ids.items() if id is not None}
    return {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **named}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
