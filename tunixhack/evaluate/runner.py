"""An evaluation: the same questions with known answers to all arms, scored, and compared question by question.

The unit is the question. Everything after the answer stores is recomputed from them: another scorer asks nothing, and
more questions, samples or arms ask the difference.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

import tunixhack
from tunixhack._util.addresses import local_path
from tunixhack._util.files import make_folder
from tunixhack._util.lock import locked
from tunixhack._util.progress import Reporter
from tunixhack._util.wording import counted
from tunixhack.errors import TeacherFailed, TunixHackError, UserError
from tunixhack.evaluate.arms import Arm
from tunixhack.evaluate.evaluation import SCHEMA, Evaluation
from tunixhack.evaluate.figures import by_question, differences, score_line
from tunixhack.evaluate.folder import check_folder, default_folder, paces
from tunixhack.evaluate.inspect_log import write_logs
from tunixhack.evaluate.judged import Compared, compare, judges
from tunixhack.evaluate.losses import LOSS, loss_differences, loss_line, stored_losses
from tunixhack.evaluate.order import QUESTIONS, Order
from tunixhack.evaluate.over_tasks import mean_differences, mean_lines
from tunixhack.evaluate.planning import planned
from tunixhack.evaluate.replies import REPLY, scored_replies
from tunixhack.evaluate.setup import Setup
from tunixhack.evaluate.stored import borrow, store_of
from tunixhack.evaluate.task import Task
from tunixhack.evaluate.teachers import ask_teacher, teacher_replies
from tunixhack.evaluate.wordings import wording_lines
from tunixhack.runs.answer_store import KEY
from tunixhack.runs.journal import FIELDS
from tunixhack.runs.tables import written_at
from tunixhack.teachers.registry.address import public_name


def evaluate(
    arms: str | Sequence[str | Path],
    on: str | Sequence[str],
    *,
    source: str | None = None,
    questions: int = QUESTIONS,
    samples: int | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    shard: str | None = None,
    reuse: str | Path | Sequence[str | Path] = (),
    budget: float | None = None,
    ask_again: bool = False,
    accept_terms: bool = False,
    cpu: bool = False,
    judge: str | None = None,
    inspect_logs: str | Path | None = None,
    report: Reporter | None = None,
) -> Evaluation:
    """Ask arms the same questions, and compare them with the first; or go on where that was interrupted.

    Args:
        arms: a training's folder, ``base``, a base as ``--model`` of train names it, either of them with ``+brief``
            behind, which tells it what the domain's teacher is told, or a teacher as ``--teacher`` of build does; the
            first is the baseline. A text is split at its commas. A lone student gets its base in front.
        on: domains, domain files, files of questions with ``question`` and ``reference``, public benchmarks by name, or
            ``held-back``, the questions that the students' trainings held back; likewise.
        source: other test questions than those of the one domain in ``on``, as ``--source`` of build names them.
        questions: that each arm is asked, of each task: the first in the order of the seed.
        samples: replies to each question, of every task; more than one needs a temperature. None takes 1, and of a
            public benchmark its passes.
        temperature: of all arms and tasks; 0 takes the likeliest token each time. None takes 0, and 0.7 for a public
            benchmark with several passes.
        max_tokens: where a reply is cut off; by default 768 for students and bases, and a teacher's own limit.
        out: the evaluation's folder; ``evals/`` and the tasks' names when None.
        seed: which questions are asked, and the base of every reply's seed.
        shard: ``2/8`` asks every eighth question, beginning with the second. Afterwards the same call without it, and
            with the folders of all shards in ``reuse``, asks nothing.
        reuse: folders of other evaluations, whose replies to the same requests are taken over.
        budget: dollars that each teacher's replies to each task may cost, over every start.
        ask_again: ask a teacher anew where its prompt or sampling has changed since replies were paid for.
        accept_terms: the terms of a base were read and accepted.
        cpu: ask students on the CPU though an accelerator is here.
        judge: a teacher, as ``--teacher`` of build names it, that compares every arm's answers with the baseline's, in
            both orders; nothing is scored by references then, and none are needed.
        inspect_logs: a folder into which every task's and arm's replies and scores are written, in the format of
            inspect-ai; see `tunixhack.evaluate.inspect_log`.
        report: where progress goes; standard error when None.

    Returns:
        The figures. An arm that fails is named in them with its sentence, and the others go on.

    Raises:
        UserError: something that the user can mend, before anything is asked; or no arm has a result.
        TeacherFailed: no arm has a result, and a teacher failed for too long.
    """
    report, chosen = report or Reporter(), None if out is None else local_path(out)
    logs = None if inspect_logs is None else local_path(inspect_logs)
    order = Order.read(
        shard, reuse, questions=questions, samples=samples, temperature=temperature, max_tokens=max_tokens, seed=seed,
        budget=budget, ask_again=ask_again, accept_terms=accept_terms, cpu=cpu, judge=judge,
    )  # fmt: skip
    setup = Setup.find(arms, on, source, order, report)
    folder = chosen or default_folder(setup)
    found = ask(setup, folder, _command(arms, on, source, order, folder), report)
    if logs is not None:
        write_logs(logs, found, {name: chosen.rows for name, chosen in setup.questions.items()})
    return found


def ask(setup: Setup, folder: Path, command: str, report: Reporter) -> Evaluation:
    """Ask what a folder lacks of a setup's replies, and compare its arms; see `evaluate`.

    Args:
        setup: the arms, tasks and questions.
        folder: of the evaluation.
        command: that goes on where this is interrupted.
        report: where progress goes.

    Raises:
        UserError: the folder holds something else, or no arm has a result.
        TeacherFailed: no arm has a result, and a teacher failed for too long.
    """
    check_folder(folder, setup.tasks)
    for one in list(judges(setup, folder, command).values())[:1]:
        one.check(report)
    _say_plan(setup, folder, report)
    make_folder(folder)
    with locked(folder, report.say):
        return _Run(setup=setup, folder=folder, report=report, command=command).all()


def _say_plan(setup: Setup, folder: Path, report: Reporter) -> None:
    """Say what is to be asked and what it can tell, where anything is."""
    try:
        told = planned(setup, folder)
    except UserError as error:  # such as a damaged file, which is set aside or written anew when its arm is asked
        report.warn(f"what this will take is not known: {error}")
        return
    if any(arm.missing for arm in told.arms):
        for line in replace(told, notes=()).lines():
            report.say(line)


@dataclass(frozen=True)
class _Asked:
    """What came of asking one arm."""

    answers: pl.DataFrame
    problem: str | None = None
    exit_code: int = 0
    seconds: float | None = None
    """Of one reply; None where nothing was asked."""
    losses: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LOSS))


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One evaluation at work."""

    setup: Setup
    folder: Path
    report: Reporter
    command: str

    def all(self) -> Evaluation:
        setup = self.setup
        replies, losses = [pl.DataFrame(schema=REPLY)], [pl.DataFrame(schema=LOSS)]
        problems, codes, pace = [], [], paces([self.folder])
        for task in setup.tasks:
            chosen = setup.questions[task.name]
            for number, arm in enumerate(setup.arms, 1):
                self.report.say(f"{task.name}, {number} of {len(setup.arms)}: {arm.label}")
                asked = self._ask(arm, task)
                losses.append(asked.losses)
                replies.append(scored_replies(chosen, arm.label, setup.form(arm, task), asked.answers))
                if asked.problem is not None:
                    problems.append(f"{arm.label}: {asked.problem}")
                    codes.append(asked.exit_code)
                    self.report.warn(problems[-1])
                if asked.seconds is not None:
                    pace[arm.label] = round(asked.seconds, 4)
        table, solved = pl.concat(replies), pl.concat(losses)
        if table.is_empty() and solved.is_empty():
            kind = TeacherFailed if TeacherFailed.exit_code in codes else UserError
            raise kind("; ".join(dict.fromkeys(problems)) or "no arm has replied")
        compared = compare(setup, self.folder, self.command, table, self.report)
        problems += compared.problems
        code = next(filter(None, [*codes, compared.exit_code]), 0)
        return self._written(table, solved, compared, (problems, code), pace)

    def _ask(self, arm: Arm, task: Task) -> _Asked:
        return self._ask_teacher(arm, task) if arm.kind == "teacher" else self._ask_student(arm, task)

    def _ask_student(self, arm: Arm, task: Task) -> _Asked:
        student, order = self.setup.students[arm.label], self.setup.order_of(task)
        store = store_of(self.folder, task.name, arm)
        for sentence in store.set_aside_damaged():
            self.report.warn(sentence)
        wanted = self.setup.wanted(arm, task)
        keys = pl.DataFrame(
            [(one.key, one.sample) for one in wanted],
            schema={"request_key": pl.String, "sample": pl.Int64},
            orient="row",
        )
        borrow(store, keys, [*order.reuse, self.folder], task.name)
        there = set(store.keys().iter_rows())
        missing = [one for one in wanted if (one.key, one.sample) not in there]
        if len(missing) < len(wanted):
            self.report.say(
                f"  {counted(len(wanted) - len(missing), 'reply', 'replies')} of {len(wanted):,} are stored"
            )
        problem, code, seconds, losses = None, 0, None, pl.DataFrame(schema=LOSS)
        try:
            seconds = student.ask(missing, store, order, arm.label, self.report)
            losses = self._losses(arm, task)
        except UserError as error:
            problem, code = str(error), error.exit_code
        answers = store.answers(lambda rows: rows.join(keys, on=KEY, how="semi", maintain_order="left"))
        return _Asked(answers, problem, code, seconds, losses)

    def _losses(self, arm: Arm, task: Task) -> pl.DataFrame:
        """Return a student's loss on each of the source's own solutions, in the columns `LOSS`."""
        chosen = self.setup.questions[task.name]
        known, damaged = stored_losses([self.folder, *self.setup.order.reuse], task.name)
        for sentence in damaged:
            self.report.warn(sentence)
        found = self.setup.losses(arm, task, known, self.folder / task.name / arm.folder, self.report)
        rows = [
            (task.name, arm.label, question, chosen.clusters.get(question), nats / tokens, tokens)
            for question, nats, tokens in found.select("question_id", "nats", "tokens").iter_rows()
        ]
        return pl.DataFrame(rows, schema=LOSS, orient="row").sort("question_id")

    def _ask_teacher(self, arm: Arm, task: Task) -> _Asked:
        chosen, order = self.setup.questions[task.name], self.setup.order_of(task)
        if chosen.rows.is_empty():  # questions whose loss alone is told, which teachers have none of
            return _Asked(pl.DataFrame(schema=FIELDS))
        folder = self.folder / task.name / arm.folder
        before, problem, code = written_at(folder, "train"), None, 0
        try:
            ask_teacher(arm, chosen, order, folder, self.report, self.command)
        except TunixHackError as error:
            problem, code = str(error), error.exit_code
        if problem is not None and written_at(folder, "train") in (None, before):
            return _Asked(pl.DataFrame(schema=FIELDS), problem, code)
        return _Asked(teacher_replies(chosen, order, folder), problem, code)

    def _written(
        self,
        replies: pl.DataFrame,
        losses: pl.DataFrame,
        judged: Compared,
        ended: tuple[list[str], int],
        pace: dict[str, float],
    ) -> Evaluation:
        problems, code = ended
        setup, asked = self.setup, {task.name: self.setup.order_of(task) for task in self.setup.tasks}
        of_tasks = {name: replies.filter(pl.col("task") == name) for name in asked}
        means = pl.concat([by_question(of_tasks[name], asked[name].samples) for name in sorted(asked)])
        names = list(asked)
        scores: list[dict[str, Any]] = []
        compared: list[dict[str, Any]] = []
        of_solutions: list[dict[str, Any]] = []
        of_wordings: list[dict[str, Any]] = []
        facts, notes = setup.facts(), list(setup.notes)
        for task in setup.tasks:
            of_task, chosen = means.filter(pl.col("task") == task.name), setup.questions[task.name]
            for arm in facts:
                line = score_line(of_task.filter(pl.col("arm") == arm.label), arm, chosen.rows.height)
                solved = losses.filter(pl.col("task") == task.name, pl.col("arm") == arm.label)
                scores.append({"task": task.name} | line | loss_line(solved))
            if not task.judged:
                samples = asked[task.name].samples
                compared += [{"task": task.name} | line for line in differences(of_task, facts, samples)]
                of_wordings += wording_lines(task, [one.label for one in facts if one.kind == "teacher"], of_task)
            solved = losses.filter(pl.col("task") == task.name)
            of_solutions += [{"task": task.name} | line for line in loss_differences(solved, setup.solution_forms())]
            left_out = chosen.left_out_sentence()
            notes += [] if left_out is None else [left_out]
        content = {
            "schema": SCHEMA,
            "tunixhack": tunixhack.__version__,
            "command": self.command,
            "order": setup.order.as_dict(),
            "tasks": {
                task.name: {
                    "source": task.source.describe(),
                    "commit": setup.questions[task.name].loaded.resolved.get("commit"),
                    "sha256": setup.questions[task.name].loaded.resolved.get("sha256"),
                    "scorer": task.scorer.name,
                    "samples": asked[task.name].samples,
                    "temperature": asked[task.name].temperature,
                    "asked": setup.questions[task.name].rows.height,
                    "unscored": setup.questions[task.name].unscored.height,
                    "clusters": setup.questions[task.name].cluster_count(),
                    "looked_at": setup.questions[task.name].looked_at,
                    "left_out": dict(setup.questions[task.name].left_out),
                }
                for task in setup.tasks
            },
            "arms": setup.describe_arms(),
            "scores": scores,
            "differences": compared,
            "loss_differences": of_solutions,
            "mean_scores": mean_lines(means, names, facts),
            "mean_differences": mean_differences(means, names, facts, min(one.samples for one in asked.values())),
            "preferences": list(judged.lines),
            "wordings": of_wordings,
            "notes": [*problems, *notes, *judged.notes],
            "exit_code": code,
            "seconds_a_reply": pace,
        }
        found = Evaluation(self.folder, content)
        found.save(replies, means, losses, judged.table if setup.order.judge is not None else None)
        return found


def _command(
    arms: str | Sequence[str | Path], on: str | Sequence[str], source: str | None, order: Order, folder: Path
) -> str:
    """Return the command line that goes on with an evaluation, without credentials."""
    named = arms.split(",") if isinstance(arms, str) else list(map(str, arms))
    parts = ["tunixhack", "evaluate", ",".join(public_name(one.strip()) for one in named)]
    parts += ["--on", on if isinstance(on, str) else ",".join(on)]
    parts += ["--source", source] if source is not None else []
    for name, value in order.as_dict().items():
        if name in order.given or value not in (None, Order.__dataclass_fields__[name].default):
            parts += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join([*parts, "--out", str(folder)])
