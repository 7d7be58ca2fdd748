"""The training itself, step by step, from its first one or its last checkpoint to the last."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from tunixhack.errors import UserError
from tunixhack.progress import Reporter
from tunixhack.progress import clock as as_clock
from tunixhack.train import checkpoints, metrics, record, trouble
from tunixhack.train.bar import TrainingBar
from tunixhack.train.evidence import Asking, ValidationLoss, chosen
from tunixhack.train.job import Job
from tunixhack.train.needs import in_gb
from tunixhack.train.pace import Pace
from tunixhack.train.packing import Batch, Packed, is_behind
from tunixhack.train.record import Plan, TrainingRecord
from tunixhack.train.report import show_results
from tunixhack.train.saving import CannotSave, Saving
from tunixhack.train.schedule import Clock, learning_rate
from tunixhack.train.stopping import StopRequest
from tunixhack.train.student import Student
from tunixhack.train.trainer import StepResult, Trainer

VALIDATIONS = 10
"""How often the validation loss is measured during a training, at most, beside its beginning and end."""
VALIDATING = 0.05
"""The share of the time between that it may take."""
EXPORTS = 4
"""Times that loading takes are kept for the last checkpoint and three exports with their checks: Gemma 3 270M's took
three."""
ENDED, STOPPED = 0.5, 0.9
"""The share of what is free on the disk of a training's folder that the copy of its last checkpoint may take: one that
ended leaves room for its exports; one that the time ended is gone on from, perhaps where ``scratch`` is no more."""


class Loop:
    """Trains, logs, saves, and asks before and after.

    Args:
        job: what is learnt by whom.
        clock: the time that there is.
        report: where progress is shown.
        kept: the record so far, which is written anew at every turn.
        first: the step that it goes on behind, 0 for none.
        stop: the signals that end it early.
    """

    def __init__(
        self, job: Job, clock: Clock, report: Reporter, kept: TrainingRecord, first: int, stop: StopRequest
    ) -> None:
        self._job, self._student, self._report = job, job.student, report
        self._record = kept
        self._seconds = kept.seconds
        settings = job.student.settings
        self._packed = Packed(
            job.data,
            max_seq_len=settings.max_seq_len,
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            seed=settings.seed,
        )
        planned = kept.plan
        total = planned.steps if planned is not None and planned.wanted == job.extent.steps else 0
        self._pace = Pace(job.extent.steps, clock, self._reserve, total=total)
        self._bar = TrainingBar(self._pace.total)
        examples = chosen(job.datasets, job.data, job.plan.samples)
        self._asking = Asking(job.student, examples, job.plan.out, job.plan.max_new_tokens, report)
        self._validation: ValidationLoss | None = None
        self._validated_at, self._validation_cost = 0, 0.0
        """The step that it was last behind, and the seconds it took."""
        self._sinks: list[metrics.Sink] = []
        self._batch: Batch | None = None
        self._done_at = time.monotonic()
        """When the last step was done."""
        self._first = first
        """The step that this start begins behind."""
        self._told_to_stop = stop
        self._out_of_time = False

    def run(self) -> Student:
        """Train to the end; see `tunixhack.train.supervised.sft`."""
        report = self._report
        self._before()
        trainer = self._trainer()
        if self._first:
            report.say(f"going on behind step {self._first:,} of {self._pace.total:,}")
        with ExitStack() as closing:
            self._open_sinks(closing)
            with report.bar(self._bar), self._student.mesh, self._told_to_stop.waits_for_the_step(report.say):
                self._bar.done = self._first
                self._bar.loss = metrics.at_step(metrics.read(self._job.plan.out), "loss", self._first)
                self._validate(self._first)
                try:
                    trainer.run()
                except CannotSave as error:
                    raise trouble.disk(self._job.plan, error) from error
                if self._told_to_stop.received:
                    self._write("stopped")
                    self._keep_last()
            if self._told_to_stop.received:
                raise KeyboardInterrupt
            self._validate(self._bar.done)
        self._keep_last()
        self._after()
        self._write("out of time" if self._out_of_time else "finished")
        self._student.step = self._bar.done
        if self._out_of_time:
            report.warn(
                f"the time was over behind step {self._bar.done:,} of {self._pace.total:,}, before the learning rate "
                "had fallen to 0: the weights are those of that step; with more hours the same command goes on"
            )
        report.say(f"trained: {self._bar.done:,} steps, {self._epochs:g} epochs of the data")
        show_results(self._job.plan.out, self._record, report)
        return self._student

    # -- the steps

    def _trainer(self) -> Trainer:
        """Make the trainer, and go to where its checkpoint stands."""
        plan, student = self._job.plan, self._student
        trainer = Trainer(
            student.model,
            family=student.base.family,
            settings=student.settings,
            saving=Saving(plan.checkpoints, keep=self._job.keep, every=plan.save_every),
            callbacks=self,
        )
        step, place = trainer.restored
        if step != self._first or (step and not is_behind(place, step, student.settings.batch_size)):
            raise UserError(
                f"the checkpoint of step {self._first:,} in {plan.checkpoints} is not what it was a moment ago: see "
                "what else writes there, and start again"
            )
        if step:
            self._packed.restore(dict(place or {}))
        return trainer

    def next_batch(self, step: int) -> tuple[Batch, float] | None:
        """Return the batch behind ``step`` steps and its learning rate; None where the training ends."""
        if self._told_to_stop.received or step >= self._pace.total:
            return None
        self._out_of_time = step > self._first and self._pace.over
        if self._out_of_time:
            return None
        self._batch = self._packed.next()
        if self._batch is None:
            return None
        settings = self._student.settings
        rate = learning_rate(
            step, total=self._pace.total, peak=settings.learning_rate, warmup_ratio=settings.warmup_ratio
        )
        return self._batch, rate

    def data_position(self) -> dict[str, Any]:
        """Return the position in the data behind the last batch."""
        return self._packed.state

    def before_save(self) -> None:
        """Put the lines of all steps on the disk: a checkpoint's step is never without its line."""
        for sink in self._sinks:
            sink.sync()

    def after_step(self, result: StepResult) -> None:
        """Log a step, and stop where it went wrong."""
        if not result.finite:
            raise trouble.not_finite(self._job, result, self._batch)
        compiled = result.step == self._first + 1
        if compiled:
            self._seconds["compiling, with the first step"] = result.seconds
            self._report.say(f"compiling, with the first step: {as_clock(result.seconds)}")
        else:
            planned = self._pace.total
            told = self._pace.timed(result.step, time.monotonic() - self._done_at)
            if told is not None:
                self._report.say(told)
            if self._pace.total != planned:
                self._keep_plan()
        self._done_at = time.monotonic()
        bar = self._bar
        loss = float(result.loss)
        bar.done, bar.total, bar.loss = result.step, self._pace.total, loss
        bar.packing_efficiency, bar.seconds = result.packing_efficiency, self._pace.seconds or 0.0
        if not compiled:
            bar.rate = result.tokens / result.seconds
        numbers = {
            "loss": loss,
            "learning_rate": result.learning_rate,
            "grad_norm": float(result.gradient_norm),
            "tokens_per_second": result.tokens / result.seconds,
            "tokens": result.tokens,
            "learnt": result.learnt,
            "packing_efficiency": result.packing_efficiency,
            "seconds": result.seconds,
        }
        metrics.write_all(self._sinks, result.step, numbers)
        self._report.update()
        spent = result.step - self._validated_at
        due = spent >= max(self._pace.total / VALIDATIONS, self._validation_cost / VALIDATING / (bar.seconds or 1.0))
        if due and result.step < self._pace.total:
            self._validate(result.step)

    def _validate(self, step: int) -> None:
        """Log the loss of the validation rows."""
        self._validated_at = step
        if not self._job.data.validation.any() or any(
            "validation_loss" in line for line in metrics.read(self._job.plan.out) if line["step"] == step
        ):
            return
        began = time.monotonic()
        if self._validation is None:
            rows = self._student.settings.micro_batch_size or self._student.settings.batch_size
            self._validation = ValidationLoss(self._student, self._job.data, rows)
        loss = self._validation(lambda: self._told_to_stop.received)
        if loss is None:
            return
        metrics.write_all(self._sinks, step, {"validation_loss": loss})
        self._validation_cost = time.monotonic() - began  # the first one's has the compiler's time in it
        self._seconds["validating"] = self._seconds.get("validating", 0.0) + self._validation_cost

    # -- before and after

    def _before(self) -> None:
        """Ask before the first step; on going on, too, the weights are still those of the base."""
        known = self._record.validation
        found = self._asking.before(known.get("before"), self._seconds)
        if found is not None:
            known = known if found == known.get("before") else {}
            self._record = replace(self._record, validation=known | {"before": found})
            self._write()

    def _after(self) -> None:
        """Ask again, unless this start had nothing to train and the one before asked."""
        known = self._record.validation
        found = self._asking.after(known.get("after") if self._bar.done == self._first else None, self._seconds)
        if found is not None:
            self._record = replace(self._record, validation=known | {"after": found})

    def _keep_last(self) -> None:
        """Have the last checkpoint in the training's own folder, wherever the others were, or at least its weights."""
        plan = self._job.plan
        if not plan.elsewhere:
            return
        share = STOPPED if self._out_of_time or self._told_to_stop.received else ENDED
        kept = checkpoints.keep(plan.checkpoints, plan.out / checkpoints.FOLDER, share=share)
        if kept is None:
            return
        copy, size = kept
        if not checkpoints.weights_alone(copy):
            self._report.say(f"kept in {copy}: the last checkpoint, {in_gb(size)}")
        else:
            self._report.say(
                f"kept in {copy}: the weights alone, since the whole checkpoint takes {in_gb(size)}; to go on with "
                f"more hours or steps, {plan.checkpoints} is needed"
            )

    # -- the record

    def _open_sinks(self, closing: ExitStack) -> None:
        plan = self._job.plan
        self._sinks = [metrics.JsonLines(plan.out, self._first), metrics.TensorBoard(plan.out, self._first)]
        if plan.wandb is not None:
            self._sinks.append(metrics.WeightsAndBiases(plan.wandb, plan.out, self._record.settings.as_dict()))
        for sink in self._sinks:
            closing.callback(sink.close)
        self._keep_plan()

    def _keep_plan(self) -> None:
        extent = self._job.extent
        plan = Plan(wanted=extent.steps, steps=self._pace.total, all_epochs=extent.all_epochs)
        self._record = replace(self._record, plan=plan)
        self._write("training")

    def _write(self, status: str | None = None) -> None:
        """Write ``student.json``, with the status as it was unless another is given."""
        out = self._job.plan.out
        lines = metrics.read(out)
        self._record = replace(
            self._record,
            status=status or self._record.status,
            steps=self._bar.done,
            epochs=self._epochs,
            tokens=sum(line.get("tokens", 0) for line in lines),
            losses=self._losses(lines),
        )
        record.write(out, self._record)

    def _losses(self, lines: Sequence[dict[str, Any]]) -> dict[str, float]:
        """Return the losses of the first and the last step, and the first and last of the validation.

        A step whose line is lost has none here: the loss of another step would pass for its own.
        """
        checked = [line["validation_loss"] for line in lines if "validation_loss" in line]
        found = {
            "first": metrics.at_step(lines, "loss", 1),
            "last": metrics.at_step(lines, "loss", self._bar.done),
            "validation_first": checked[0] if checked else None,
            "validation_last": checked[-1] if checked else None,
        }
        return {name: loss for name, loss in found.items() if loss is not None}

    @property
    def _epochs(self) -> float:
        """How often each row of weight 1 was learnt so far, on average."""
        return round(self._student.settings.epochs * self._bar.done / self._job.extent.all_epochs, 3)

    def _reserve(self) -> float:
        """Return the seconds that the end takes, the exports' with it, by what the beginning took."""
        load = self._seconds.get("loading the student", 0.0)
        return 1.1 * self._seconds.get("asking before", 0.0) + EXPORTS * load
