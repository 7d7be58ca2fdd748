"""Teach a student: from datasets to a student that shows its work, in a folder that goes on where it was stopped."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from tunixhack._util.addresses import local_path, path_to_read
from tunixhack._util.files import make_folder
from tunixhack._util.lock import locked
from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.train import record
from tunixhack.train.core.compilation_cache import enable_compilation_cache
from tunixhack.train.core.distributed import TIMEOUT, meet
from tunixhack.train.core.mesh import device_mesh
from tunixhack.train.core.peers import watched
from tunixhack.train.core.process_group import ProcessGroup
from tunixhack.train.core.xla_flags import set_xla_flags
from tunixhack.train.data.chat import Renderer
from tunixhack.train.data.datasets import Dataset, all_examples, read_all
from tunixhack.train.data.packing import Extent, measure
from tunixhack.train.data.token_set import TokenSet
from tunixhack.train.data.tokenize import TOO_LONG, tokenise
from tunixhack.train.handle import StudentHandle
from tunixhack.train.inference.generate import MAX_NEW_TOKENS
from tunixhack.train.machine.doctor import require_device
from tunixhack.train.machine.facts import count_gpus, tpu_is_here
from tunixhack.train.models.base_model import Base
from tunixhack.train.models.load import find
from tunixhack.train.models.origin import hub_id, licence, model_id
from tunixhack.train.old_names import renamed_arguments
from tunixhack.train.record import BaseModel, DatasetSummary, DataSummary, TrainingRecord
from tunixhack.train.run.attention import check_attention as compare_attention
from tunixhack.train.run.attention import choose_attention
from tunixhack.train.run.capacity import check_disk, check_memory
from tunixhack.train.run.failures import stopped_message
from tunixhack.train.run.job import Job, RunOptions, Session
from tunixhack.train.run.loop import Loop
from tunixhack.train.run.own_copy import own_copy
from tunixhack.train.run.resume import resume
from tunixhack.train.run.schedule import Clock
from tunixhack.train.run.several_processes import (
    require_same,
    require_shared_storage,
    shared_attention,
    shared_remat,
    shared_resume,
)
from tunixhack.train.run.stopping import StopRequest
from tunixhack.train.settings import Method, Settings, settings
from tunixhack.train.student import Student

if TYPE_CHECKING:
    from tunixhack.runs.run import Run

SAVE_EVERY = 180.0
"""Seconds between two checkpoints, as Tunix has it. A crash costs at most these, with what a step and a save take."""
_TRAININGS = itertools.count()
"""Numbers the trainings of this process: where several processes train, each begins the same ones in their order."""
SAMPLES = 10
"""Validation questions that are asked before and after."""


def sft(
    datasets: str | Path | Run | Dataset | Iterable[str | Path | Run | Dataset] | Mapping[str, float],
    model: str | Path,
    method: Method = "lora",
    *,
    out: str | Path | None = None,
    steps: int | None = None,
    hours: float | None = None,
    started: float | None = None,
    resume_from: str | Path | None = None,
    scratch: str | Path | None = None,
    samples: int = SAMPLES,
    max_new_tokens: int = MAX_NEW_TOKENS,
    save_every: float = SAVE_EVERY,
    scale: str | None = None,
    attention: str | None = None,
    check_attention: bool = False,
    cpu: bool = False,
    accept_terms: bool = False,
    wandb: str | None = None,
    report: Reporter | None = None,
    **changes: Any,
) -> StudentHandle:
    """Train a student on datasets, or go on with a training that was stopped.

    Args:
        datasets: one or several, runs' folders and addresses among them; see `tunixhack.train.data.datasets.read_all`.
        model: the student to begin with; see `tunixhack.train.models.load.find`.
        method: ``full``, ``lora`` or ``qlora``.
        out: the training's folder; ``students/`` and the first dataset's name if left out. Started again with the same
            arguments it goes on from the last checkpoint; ``hours``, ``steps`` and what stands below may change.
        steps: how many updates, instead of all of ``epochs``.
        hours: the ceiling, counted from ``started``, for everything from loading to the last sample. The learning
            rate's schedule is made for as many steps as fit.
        started: when the session began, in seconds since 1970; by default when this process did.
        resume_from: another training's folder, which is only read: its last checkpoint, or the one in the ``scratch``
            that it had, is where ``out`` begins.
        scratch: a folder for the checkpoints, on a larger disk than that of ``out``. The one that the training ends
            with is in ``out`` all the same; only its weights where there is no room for more, which is said.
        samples: how many validation questions to ask before and after.
        max_new_tokens: where a reply to them is cut off.
        save_every: seconds between two checkpoints.
        scale: one of `tunixhack.train.settings.SCALES`.
        attention: ``splash``, ``cudnn``, ``cudnn-masked``, ``chunked`` or ``dense``; left out, the best that the device
            has. It changes a step by rounding alone, and may be another one when the training goes on.
        check_attention: before the first step, compare the loss of a batch with that of dense attention, whose memory
            grows with the square of ``max_seq_len``.
        cpu: train on the CPU though an accelerator is here.
        accept_terms: the terms of the model were read and accepted.
        wandb: a project of Weights & Biases to log to as well.
        report: where progress is shown.
        changes: any of `tunixhack.train.settings.Settings`, such as ``epochs=3`` or ``max_seq_len=2048``.

    Returns:
        The student as it was at the last step.

    Raises:
        UserError: something that the user can mend: an unknown option, no room on the disk or in memory, data that
            cannot be learnt from, a folder with another training, a loss that is not a number; or, with several
            processes, one that was started with something else, or has failed.
        KeyboardInterrupt: Ctrl-C, or another signal of `tunixhack.train.run.stopping`, ended it; the steps under way
            were finished and saved.

    >>> from tunixhack import train  # doctest: +SKIP
    >>> student = train.sft("runs/creative", "google/gemma-3-1b-it", epochs=2, hours=8.5)  # doctest: +SKIP
    """
    folder = None if out is None else local_path(out)
    if scratch is not None:
        local_path(scratch)
    if resume_from is not None:
        path_to_read(resume_from)
    clock = Clock(hours, started)
    report = report or Reporter()
    stop = StopRequest()
    with ExitStack() as ending:
        ending.enter_context(stop.listening())
        if not cpu and (flags := set_xla_flags(count_gpus(), os.environ)) is not None:
            report.say(flags)
        meet(report.say, cpu=cpu, tpu=tpu_is_here())
        group = ProcessGroup(str(next(_TRAININGS)))
        ending.enter_context(watched(group, stop, report.say))
        changes = renamed_arguments(changes, stacklevel=2)
        chosen = settings(method, scale=scale, **changes)
        asked = {
            **chosen.as_dict(),
            "hours": hours,
            "steps": steps,
            "samples": samples,
            "max_new_tokens": max_new_tokens,
            "save_every": save_every,
            "attention": attention,
            "check_attention": check_attention,
            "cpu": cpu,
            "wandb": wandb,
            "resume_from": None if resume_from is None else "given",
            "scratch": None if scratch is None else "given",
        }
        asked |= {f"the version of {name}": number for name, number in record.versions().items()}
        require_same(group, "command", asked, within=TIMEOUT)
        devices = require_device(cpu)
        report.say(f"training on {devices}{group.described()}")
        if not group.writes:
            report = Reporter(ending.enter_context(open(os.devnull, "w", encoding="utf-8")), quiet=True)
        enable_compilation_cache()
        if "compute" not in changes:
            chosen = replace(chosen, compute="float32" if jax.default_backend() == "cpu" else "bfloat16")
        seconds: dict[str, float] = {}
        with report.timed("reading the data", seconds):
            read = group.first_alone("data", lambda: read_all(datasets))
            base = group.first_alone("model", lambda: find(model, accept_terms=accept_terms, say=report.say))
        _check_length(base, chosen)
        folder = folder or Path("students") / Path(read[0].name).stem
        options = RunOptions(
            out=folder,
            scratch=Path(scratch) / folder.name if scratch is not None else folder,
            steps=steps,
            samples=samples,
            max_new_tokens=max_new_tokens,
            save_every=save_every,
            wandb=wandb,
            attention=attention,
            check_attention=check_attention,
        )
        for place in (options.out, options.scratch):
            make_folder(place)
        session = Session(clock=clock, report=report, stop=stop, group=group)
        start = _Start(seconds, devices, resume_from)
        with locked(folder, report.say) if group.writes else nullcontext():
            try:
                student = _train(read, base, chosen, options, session, start)
                return StudentHandle.of(own_copy(student, group, "trained", report) or student)
            except KeyboardInterrupt:
                report.say(stopped_message(options))
                raise


@dataclass(frozen=True)
class _Start:
    """The facts that a start of a training knows before its data are tokenised."""

    seconds: dict[str, float]
    """Of each stage so far; those to come are added."""
    devices: str
    resume_from: str | Path | None


def _train(
    datasets: tuple[Dataset, ...],
    base: Base,
    chosen: Settings,
    options: RunOptions,
    session: Session,
    start: _Start,
) -> Student:
    seconds, report = start.seconds, session.report
    renderer = base.renderer(chosen.format, chosen.system)
    mesh = device_mesh(chosen.micro_batch_size or chosen.batch_size)
    group = session.group
    require_shared_storage(group, options)
    with report.timed("tokenising", seconds):
        data = group.first_alone("tokens", lambda: _tokens(datasets, renderer, chosen, options.out))
    new = replace(_record(base, chosen, datasets, data), seconds=seconds, devices=start.devices)
    require_same(group, "training", record.compared(new))
    resumed, step = shared_resume(group, options, new, lambda: resume(options, new, start.resume_from, report))
    with report.timed("packing", seconds):
        extent = _extent(data, chosen, options.steps)
    _report_data(report, datasets, data, extent, chosen)
    checked, memory = check_memory(base, chosen, mesh.size, report)
    base = shared_remat(group, base, checked)
    attention = shared_attention(
        group,
        options.attention,
        lambda name: choose_attention(base, chosen, data, mesh, name=name, report=report),
    )
    max_to_keep = group.decide("disk", lambda: check_disk(base, chosen, options, report))
    with report.timed("loading the student", seconds):
        student = Student.prepare(base, chosen, mesh, attention.attend)
        student.folder, student.group = options.out, group
    if options.check_attention:
        compare_attention(student, attention.name, data, report)
    job = Job(
        student=student,
        datasets=datasets,
        data=data,
        extent=extent,
        options=options,
        max_to_keep=max_to_keep,
        memory=memory,
    )
    return Loop(job, session, resumed, step).run()


def _check_length(base: Base, chosen: Settings) -> None:
    if chosen.max_seq_len > base.context:
        raise UserError(
            f"a training row of {chosen.max_seq_len:,} tokens is longer than {base.name} takes: give a "
            f"max_seq_len of at most {base.context:,}"
        )


def _tokens(datasets: tuple[Dataset, ...], renderer: Renderer, chosen: Settings, folder: Path) -> TokenSet:
    questions = len({example.question_id for example in all_examples(datasets)})
    return tokenise(
        datasets,
        renderer,
        max_seq_len=chosen.max_seq_len,
        validation_questions=min(chosen.validation_questions, questions // 8),
        seed=chosen.seed,
        folder=folder,
    )


def _extent(data: TokenSet, chosen: Settings, steps: int | None) -> Extent:
    """Count the steps of all epochs, or as many of them as are asked for."""
    extent = measure(
        data,
        max_seq_len=chosen.max_seq_len,
        batch_size=chosen.batch_size,
        epochs=chosen.epochs,
        seed=chosen.seed,
    )
    if steps is None:
        return extent
    if steps < 1:
        raise UserError(f"steps is {steps}: it must be at least 1")
    if steps > extent.steps:
        raise UserError(
            f"{chosen.epochs} epochs of this data are {extent.steps:,} steps, and {steps:,} are asked for: give more "
            "epochs, or fewer steps"
        )
    return replace(extent, steps=steps)


def _record(base: Base, chosen: Settings, datasets: tuple[Dataset, ...], data: TokenSet) -> TrainingRecord:
    hub = model_id(base.name, base.folder)
    return TrainingRecord(
        base=BaseModel(
            name=os.path.abspath(base.name) if Path(base.name).is_dir() else base.name,
            family=base.family.name,
            fingerprint=base.fingerprint,
            parameters=base.parameters,
            hub=hub,
            license=dict(licence(hub, base.folder) or {}) or None,
        ),
        settings=chosen,
        data=DataSummary(
            key=data.key,
            datasets=[
                DatasetSummary(
                    name=one.name,
                    hub=hub_id(one.name),
                    weight=one.weight,
                    rows=len(one.examples),
                    left_out={out.reason: out.rows for out in one.left_out},
                )
                for one in datasets
            ],
            domains=data.by_domain(),
        ),
        notes=[note for one in datasets for note in one.notes],
        versions=record.versions(),
    )


def _report_data(
    report: Reporter, datasets: tuple[Dataset, ...], data: TokenSet, extent: Extent, chosen: Settings
) -> None:
    """Say what there is to learn from, and what was left out."""
    for dataset in datasets:
        report.say(dataset.summary())
        for note in dataset.notes:
            report.warn(note)
    domains = data.by_domain()
    for domain in domains:
        dropped = "".join(f", {rows:,} dropped as {reason}" for reason, rows in sorted(domain.dropped.items()))
        report.say(
            f"  {domain.name}: {domain.rows:,} rows, {domain.tokens:,} tokens, {domain.learnt:,} of them to learn, "
            f"{domain.validation_rows:,} validation rows{dropped}"
        )
    if any(domain.dropped.get(TOO_LONG) for domain in domains):
        report.say(f"  the longest row has {data.longest:,} tokens; rows above {chosen.max_seq_len:,} were dropped")
    steps = f"{extent.steps:,} steps"
    if extent.steps < extent.all_epochs:
        share = chosen.epochs * extent.steps / extent.all_epochs
        steps += f" ({share:.2f} epochs) of the {extent.all_epochs:,} that {chosen.epochs} epochs have"
    report.say(
        f"{steps}, each of {chosen.batch_size} × {chosen.max_seq_len:,} tokens, packing efficiency "
        f"{extent.packing_efficiency:.0%}"
    )
