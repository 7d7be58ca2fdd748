"""The models that an ablation's students are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunixhack._util.progress import Reporter
from tunixhack.ablate.ablation import Content
from tunixhack.ablate.arms import plain
from tunixhack.ablate.options import Options
from tunixhack.errors import UserError
from tunixhack.train.optional_imports import import_optional
from tunixhack.train.settings import Settings, settings

if TYPE_CHECKING:
    from tunixhack.train.models.base_model import Base


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model that students are made of."""

    spec: str
    label: str
    base: Base
    first: bool
    """Whether it is the first of the ablation's folder, whose students and evaluations need no name of their own."""

    def students(self, folder: Path) -> Path:
        """Return the folder of its students."""
        return folder / "students" if self.first else folder / "students" / plain(self.label)

    def evaluation(self, folder: Path, name: str) -> Path:
        """Return the folder of an evaluation of its students."""
        return folder / "evals" / (name if self.first else f"{name}-{plain(self.label)}")


def find_models(options: Options, known: Content | None, report: Reporter) -> list[Model]:
    """Find the models that students are made of; their weights are not loaded.

    Raises:
        UserError: one is not there, or two are called alike.
    """
    if not options.models:
        raise UserError("--model names no model: give a base, such as smollm2-135m-instruct")
    load = import_optional("tunixhack.train.models.load", "training")
    labels = [label_of(one) for one in options.models]
    first = next(iter(known["setup"]["models"])) if known is not None else labels[0]
    found: list[Model] = []
    for spec, label in zip(options.models, labels, strict=True):
        if label in [one.label for one in found]:
            raise UserError(f"two models are called {label}: an ablation of one folder tells them by their names")
        base = load.find(spec, accept_terms=options.order.accept_terms, say=report.say)
        found.append(Model(spec=spec, label=label, base=base, first=label == first))
    return found


def label_of(spec: str) -> str:
    """Return the name of a model in tables: of a folder its own name, else what the user wrote."""
    path = Path(spec).expanduser()
    return path.resolve().name if path.is_dir() else spec


def read_settings(options: Options, models: Sequence[Model]) -> Settings:
    """Return the settings of all trainings, but for the seed.

    Raises:
        UserError: one is unknown or out of its range, or a model takes no training row of that length.
    """
    chosen = settings(options.method, **{**options.changes, "validation_questions": 0})  # type: ignore[arg-type]
    for model in models:
        if chosen.max_seq_len > model.base.context:
            raise UserError(
                f"a training row of {chosen.max_seq_len:,} tokens is longer than {model.label} takes: give a "
                f"--max-seq-len of at most {model.base.context:,}"
            )
    return chosen
