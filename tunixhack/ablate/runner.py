"""An ablation: students of several datasets that differ in nothing else, compared on the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from tunixhack._util.addresses import local_path
from tunixhack._util.files import make_folder
from tunixhack._util.lock import locked
from tunixhack._util.progress import Reporter
from tunixhack.ablate.ablation import Ablation
from tunixhack.ablate.arms import Arms, TrainedArm, read_arms
from tunixhack.ablate.header import check_folder
from tunixhack.ablate.options import QUESTIONS, TRAININGS, Options, read_list
from tunixhack.ablate.planning import AblationPlan, make_plan
from tunixhack.ablate.preparing import Prepared
from tunixhack.ablate.sizes import Sizes, read_sizes
from tunixhack.ablate.work import Work
from tunixhack.errors import UserError
from tunixhack.evaluate.order import Order

LONGEST = 80
"""Most characters of a default folder's name."""
OF_ORDER = ("questions", "samples", "temperature", "max_tokens", "budget", "ask_again", "accept_terms", "cpu")
OF_ABLATION = (
    "trainings", "teacher", "source", "train_source", "match", "drop_losers", "hours", "method", "keep", "yes",
)  # fmt: skip
"""Options by their names; what is neither is a setting of the trainings."""


def ablate(
    arms: Arms,
    model: str | Path | Sequence[str | Path],
    *,
    rows: Sizes,
    on: str | Sequence[str] | None = None,
    trainings: int = TRAININGS,
    teacher: str | None = None,
    source: str | None = None,
    train_source: str | None = None,
    questions: int = QUESTIONS,
    samples: int = 1,
    temperature: float = 0.0,
    max_tokens: int | None = None,
    also: str | Sequence[str | Path] = (),
    match: Literal["tokens"] | None = None,
    drop_losers: bool = False,
    hours: float | None = None,
    method: str = "lora",
    out: str | Path | None = None,
    budget: float | None = None,
    ask_again: bool = False,
    yes: bool = False,
    keep: bool = False,
    accept_terms: bool = False,
    cpu: bool = False,
    report: Reporter | None = None,
    **changes: Any,
) -> Ablation:
    """Train students of several datasets and compare them, or go on where that was interrupted.

    Args:
        arms: runs or their folders, files of rows, Hub datasets, domains, domain files or recipes; several as a list,
            or by label. The first is the baseline; one alone is compared with the base of its students.
        model: what students are made of, as `tunixhack.train.models.load.find` takes it; several repeat everything.
        rows: that each student learns: a number, several, or a range such as ``316..3162``.
        on: domains, domain files or files of questions with references, as for `tunixhack.evaluate.runner.evaluate`;
            the domain of the recipes when None.
        trainings: of each arm and size, with the seeds 0, 1, … in every arm.
        teacher: who answers for the arms that are recipes.
        source: other test questions, as in `tunixhack.evaluate.runner.evaluate`.
        train_source: other questions for the arms that are recipes, as ``--source`` of build names them.
        questions: by which an arm is chosen; as many others confirm the choice, where the task has them.
        samples: replies to each question.
        temperature: of all replies.
        max_tokens: where a reply is cut off.
        also: what is evaluated beside: ``base``, bases, teachers, finished students.
        match: ``tokens`` cuts every arm at the tokens that the shortest arm's rows teach.
        drop_losers: train no arm at a larger size that is worse than the best at a smaller one.
        hours: of this start, after which no training is begun.
        method: of all trainings.
        out: the folder; ``ablations/`` and the arms' labels when None.
        budget: dollars that each run, and each teacher's replies to the test questions, may cost.
        ask_again: ask anew where a teacher's prompt or sampling has changed since replies were paid for.
        yes: build though more than half of the pilot's answers would be dropped.
        keep: keep the full weights of arms that were not chosen; adapters are kept always.
        accept_terms: the terms of the models were read and accepted.
        cpu: use the CPU though an accelerator is here.
        report: where progress goes; standard error when None.
        changes: settings of every training, such as ``epochs=4``; see `tunixhack.train.settings.Settings`.

    Returns:
        The figures of the comparisons that are whole.

    Raises:
        UserError: something that the user can mend; before anything is trained where that can be known.
        TunixHackError: a run could not be built to its end; the same call goes on.
        KeyboardInterrupt: it was stopped; the same call goes on.
    """
    report = report or Reporter()
    given = {
        "rows": rows,
        "on": on,
        "trainings": trainings,
        "teacher": teacher,
        "source": source,
        "train_source": train_source,
        "questions": questions,
        "samples": samples,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "also": also,
        "match": match,
        "drop_losers": drop_losers,
        "hours": hours,
        "method": method,
        "out": out,
        "budget": budget,
        "ask_again": ask_again,
        "yes": yes,
        "keep": keep,
        "accept_terms": accept_terms,
        "cpu": cpu,
    }
    listed, options, folder = _read(arms, model, given | changes)
    check_folder(folder)
    make_folder(folder)
    with locked(folder, report.say):
        return Work.begin(listed, options, folder, report).all()


def plan(
    arms: Arms, model: str | Path | Sequence[str | Path], *, report: Reporter | None = None, **options: Any
) -> AblationPlan:
    """Tell what an ablation will take, and what it could tell; nothing is built, asked or trained.

    Args:
        arms: see `ablate`.
        model: likewise.
        report: where progress goes.
        options: the others of `ablate`.

    Raises:
        UserError: as in `ablate`, before anything is asked.
    """
    report = report or Reporter()
    listed, chosen, folder = _read(arms, model, options)
    prepared = Prepared.find(listed, chosen, folder, report)
    if any(arm.recipe is not None for arm in listed):
        return make_plan(prepared)
    rows = prepared.rows(listed)
    return make_plan(prepared, rows, prepared.questions(rows, report))


def _read(
    arms: Arms, model: str | Path | Sequence[str | Path], given: dict[str, Any]
) -> tuple[list[TrainedArm], Options, Path]:
    """Read the options as a user gives them.

    Raises:
        UserError: one of them makes no sense.
    """
    left = dict(given)
    out = None if left.get("out") is None else local_path(left["out"])
    left.pop("out", None)
    listed = read_arms(arms)
    order = Order.read(None, (), **{name: left.pop(name) for name in OF_ORDER if name in left})
    options = Options(
        models=read_list(model, "--model"),
        rows=read_sizes(left.pop("rows", ())),
        on=_tasks(listed, left.pop("on", None)),
        also=read_list(left.pop("also", ()), "--also"),
        order=order,
        **{name: left.pop(name) for name in OF_ABLATION if name in left},
        changes=left,
    )
    return listed, options, out or default_folder(listed)


def default_folder(arms: Sequence[TrainedArm]) -> Path:
    """Return the folder of an ablation where none is given: named for its arms."""
    return Path("ablations") / "-".join(arm.folder for arm in arms)[:LONGEST].rstrip("-.")


def _tasks(arms: Sequence[TrainedArm], on: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the tasks: those named, else the one that all arms are of.

    Raises:
        UserError: none is named, and the arms are not all recipes of one domain.
    """
    named = read_list(on, "--on") if on is not None else ()
    if named:
        return named
    domains = {None if arm.recipe is None else arm.recipe.domain for arm in arms}
    if len(domains) == 1 and None not in domains:
        return (str(arms[0].place),)
    raise UserError(
        "--on names no task: give a domain, or a file of questions with references; it can be left out where all arms "
        "are recipes of one domain"
    )
