"""The training itself, step by step, from its first one or its last checkpoint to the last."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from tunixhack._util.progress import clock as as_clock
from tunixhack.errors import UserError
from tunixhack.train import record
from tunixhack.train.core import checkpoints
from tunixhack.train.core.memory_estimate import in_gb
from tunixhack.train.core.saving import CannotSave, Saving
from tunixhack.train.core.trainer import GivenBatch, Trainer, TrainingStep
from tunixhack.train.data.packing import Packed, is_behind
from tunixhack.train.record import StepPlan, TrainingRecord
from tunixhack.train.report import metrics
from tunixhack.train.report.performance import in_words, summed_up
from tunixhack.train.report.report import show_results
from tunixhack.train.report.validation import ReplyComparison, ValidationLoss, validation_examples
from tunixhack.train.run.batches import PreparedBatches
from tunixhack.train.run.failures import not_finite_error, save_error
from tunixhack.train.run.job import Job, Session
from tunixhack.train.run.progress_bar import TrainingBar
from tunixhack.train.run.schedule import learning_rate
from tunixhack.train.run.step_numbers import StepNumbers
from tunixhack.train.run.step_planner import StepPlanner
from tunixhack.train.student import Student

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
    """Trains, logs and saves, with replies to validation questions before and after.

    Args:
        job: what is learnt by whom.
        session: the time, the progress and the signals of this start.
        before: the record so far.
        first: the step that is resumed behind, 0 for none.
    """

    def __init__(self, job: Job, session: Session, before: TrainingRecord, first: int) -> None:
        self._job, self._student, self._report = job, job.student, session.report
        self._record = before
        self._seconds = before.seconds
        settings = job.student.settings
        self._packed = Packed(
            job.data,
            max_seq_len=settings.max_seq_len,
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            seed=settings.seed,
        )
        planned = before.plan
        total = planned.steps if planned is not None and planned.wanted == job.extent.steps else 0
        self._planner = StepPlanner(job.extent.steps, session.clock, self._reserve, total=total)
        self._bar = TrainingBar(self._planner.total)
        self._numbers = StepNumbers(job.student)
        examples = validation_examples(job.datasets, job.data, job.options.samples)
        self._replies = ReplyComparison(job.student, examples, job.options.out, job.options.max_new_tokens, session)
        self._validation: ValidationLoss | None = None
        self._validated_at, self._validation_cost = 0, 0.0
        """The step that it was last behind, and the seconds it took."""
        self._sinks: list[metrics.Sink] = []
        self._done_at = time.monotonic()
        """When the last step was done."""
        self._handed = first
        """Steps that were handed over."""
        self._first = first
        """The step that this start begins behind."""
        self._stop, self._group = session.stop, session.group
        self._asked_to_stop = self._out_of_time = False

    def run(self) -> Student:
        """Train to the end; see `tunixhack.train.supervised.sft`."""
        report = self._report
        self._before()
        self._trainer = self._at_its_checkpoint()
        self._batches = PreparedBatches(self._packed, self._student.mesh)
        if self._first:
            report.say(f"going on behind step {self._first:,} of {self._planner.total:,}")
        with ExitStack() as closing:
            self._open_sinks(closing)
            with report.bar(self._bar), self._student.mesh, self._stop.deferred(report.say):
                self._bar.done = self._first
                self._bar.loss = metrics.at_step(metrics.read(self._job.options.out), "loss", self._first)
                self._validate(self._first)
                closing.enter_context(self._batches)
                try:
                    self._trainer.run()
                except CannotSave as error:
                    raise save_error(self._job.options, error) from error
                self._asked_to_stop = self._group.decide("stopped", lambda: self._stop.received)
                if self._asked_to_stop:
                    self._write("stopped")
                    self._copy_last_checkpoint()
                    self._group.part("stopped")
            if self._asked_to_stop:
                raise KeyboardInterrupt
            self._validate(self._bar.done)
        self._trainer.unstack_layers()
        self._copy_last_checkpoint()
        self._after()
        self._write("out of time" if self._out_of_time else "finished")
        self._student.step = self._bar.done
        if self._out_of_time:
            report.warn(
                f"the time was over behind step {self._bar.done:,} of {self._planner.total:,}, before the learning "
                "rate had fallen to 0: the weights are those of that step; with more hours the same command goes on"
            )
        report.say(f"trained: {self._bar.done:,} steps, {self._epochs:g} epochs of the data")
        if self._record.performance is not None and (speed := in_words(self._record.performance)):
            report.say(f"speed: {speed}")
        if self._group.writes:
            show_results(self._job.options.out, self._record, report)
        self._group.barrier("trained")
        return self._student

    # -- the steps

    def _at_its_checkpoint(self) -> Trainer:
        """Make the trainer, and go to where its checkpoint stands."""
        options, student = self._job.options, self._student
        trainer = Trainer(
            student.model,
            family=student.base.family,
            attend=student.attend,
            settings=student.settings,
            saving=Saving(options.checkpoints, self._job.max_to_keep, options.save_every, self._group),
            callbacks=self,
        )
        step, place = trainer.restored
        if step != self._first or (step and not is_behind(place, step, student.settings.batch_size)):
            raise UserError(
                f"the checkpoint of step {self._first:,} in {options.checkpoints} is not what it was a moment ago: see "
                "what else writes there, and start again"
            )
        if step:
            self._packed.restore(dict(place or {}))
        return trainer

    def next_batch(self, step: int) -> GivenBatch | None:
        """Return what the step behind ``step`` steps is given; None where the training ends."""
        if self._group.decide(f"validate/{step}", lambda: self._validation_due(step)):
            self._trainer.wait()  # else the loss would be that of a later step's weights
            self._validate(step)
        found = self._group.decide(f"step/{step}", lambda: self._decision(step))
        self._asked_to_stop, self._out_of_time, self._planner.total = found
        if self._asked_to_stop or self._out_of_time or step >= self._planner.total:
            return None
        settings = self._student.settings
        rate = learning_rate(
            step, total=self._planner.total, peak=settings.learning_rate, warmup_ratio=settings.warmup_ratio
        )
        given = self._batches.next(rate)
        if given is not None:
            self._handed = step + 1
        return given

    def _decision(self, step: int) -> tuple[bool, bool, int]:
        """Decide whether to stop behind a step, whether the time is over, and how many steps there are."""
        total = self._planner.total
        going_on = self._first < step < total and not self._stop.received
        over = going_on and self._planner.over(under_way=step - self._bar.done)
        return self._stop.received, over, total

    def data_position(self) -> Mapping[str, Any]:
        """Return the position in the data behind the last batch that was given."""
        return self._batches.position

    def before_save(self) -> None:
        """Put the lines of all steps on the disk: a checkpoint's step is never without its line."""
        for sink in self._sinks:
            sink.sync()

    def after_step(self, result: TrainingStep) -> None:
        """Log a step, and stop where it went wrong."""
        if not result.finite:  # in all processes, whose losses are one number
            self._group.fail_together("not finite", not_finite_error(self._job, result))
        compiled = result.step == self._first + 1
        if compiled:
            self._seconds["compiling, with the first step"] = result.seconds
            self._report.say(f"compiling, with the first step: {as_clock(result.seconds)}")
        else:
            planned = self._planner.total
            under_way = self._handed - result.step
            change = self._planner.timed(result.step, time.monotonic() - self._done_at, under_way)
            if change is not None:
                self._report.say(change)
            if self._planner.total != planned:
                self._write_plan()
        self._done_at = time.monotonic()
        numbers = self._numbers.of(result)
        self._show(result, numbers)
        metrics.write_all(self._sinks, result.step, numbers)
        self._report.update()

    def _show(self, result: TrainingStep, numbers: Mapping[str, float | None]) -> None:
        """Bring the bar up to date."""
        bar = self._bar
        bar.done, bar.total, bar.loss = result.step, self._planner.total, result.loss
        bar.packing_efficiency = result.given.batch.packing_efficiency
        bar.seconds = self._planner.seconds or 0.0
        peak = numbers["peak_memory_bytes"]
        bar.peak_memory = None if peak is None else int(peak)
        if not result.compiling:
            bar.rate, bar.mfu = result.tokens / result.seconds, numbers["mfu"]
            bar.waiting = min(result.given.waited / result.seconds, 1.0)

    def _validation_due(self, step: int) -> bool:
        """Tell whether the validation loss behind a step is to be measured before the next step."""
        share = self._validation_cost / VALIDATING / (self._bar.seconds or 1.0)
        return self._planner.total > step >= self._validated_at + max(self._planner.total / VALIDATIONS, share)

    def _validate(self, step: int) -> None:
        """Log the loss of the validation rows."""
        self._validated_at = step
        # one step can come twice, the second time with another answer
        done = self._group.decide(
            self._group.numbered("validated"),
            lambda: metrics.at_step(metrics.read(self._job.options.out), "validation_loss", step),
        )
        if not self._job.data.validation.any() or done is not None:
            return
        began = time.monotonic()
        if self._validation is None:
            rows = self._student.settings.micro_batch_size or self._student.settings.batch_size
            self._validation = ValidationLoss(self._student, self._job.data, rows)
        loss = self._validation(
            lambda: self._group.decide(self._group.numbered("validating"), lambda: self._stop.received)
        )
        if loss is None:
            return
        metrics.write_all(self._sinks, step, {"validation_loss": loss})
        self._validation_cost = time.monotonic() - began  # the first one's has the compiler's time in it
        self._seconds["validating"] = self._seconds.get("validating", 0.0) + self._validation_cost

    # -- before and after

    def _before(self) -> None:
        """Generate replies before the first step; when resuming, too, the weights are still those of the base."""
        known = self._record.validation
        found = self._replies.before(known.get("before"), self._seconds)
        if found is not None:
            known = known if found == known.get("before") else {}
            self._record = replace(self._record, validation=known | {"before": found})
            self._write()

    def _after(self) -> None:
        """Generate them again, unless this start had nothing to train and the one before did it."""
        known = self._record.validation
        found = self._replies.after(known.get("after") if self._bar.done == self._first else None, self._seconds)
        if found is not None:
            self._record = replace(self._record, validation=known | {"after": found})

    def _copy_last_checkpoint(self) -> None:
        """Copy the last checkpoint into the training's own folder where it is elsewhere, or at least its weights."""
        options = self._job.options
        if not options.elsewhere or not self._group.writes:
            return
        share = STOPPED if self._out_of_time or self._asked_to_stop else ENDED
        copied = checkpoints.copy_latest(options.checkpoints, options.out / checkpoints.FOLDER, share=share)
        if copied is None:
            return
        copy, size = copied
        if not checkpoints.weights_alone(copy):
            self._report.say(f"kept in {copy}: the last checkpoint, {in_gb(size)}")
        else:
            self._report.say(
                f"kept in {copy}: the weights alone, since the complete checkpoint takes {in_gb(size)}; to go on with "
                f"more hours or steps, {options.checkpoints} is needed"
            )

    # -- the record

    def _open_sinks(self, closing: ExitStack) -> None:
        options = self._job.options
        if not self._group.writes:
            return
        self._sinks = [metrics.JsonLines(options.out, self._first), metrics.TensorBoard(options.out, self._first)]
        if options.wandb is not None:
            self._sinks.append(metrics.WeightsAndBiases(options.wandb, options.out, self._record.settings.as_dict()))
        for sink in self._sinks:
            closing.callback(sink.close)
        self._write_plan()

    def _write_plan(self) -> None:
        extent = self._job.extent
        plan = StepPlan(wanted=extent.steps, steps=self._planner.total, all_epochs=extent.all_epochs)
        self._record = replace(self._record, plan=plan)
        self._write("training")

    def _write(self, status: str | None = None) -> None:
        """Write ``student.json``, with the status as it was unless another is given."""
        out = self._job.options.out
        if not self._group.writes:
            return
        lines = metrics.read(out)
        self._record = replace(
            self._record,
            status=status or self._record.status,
            steps=self._bar.done,
            epochs=self._epochs,
            tokens=sum(line.get("tokens", 0) for line in lines),
            losses=metrics.first_and_last(lines, self._bar.done),
            performance=summed_up(lines, estimated_memory=self._job.memory),
        )
        record.write(out, self._record)

    @property
    def _epochs(self) -> float:
        """The number of times that each row of weight 1 was learnt so far, on average."""
        return round(self._student.settings.epochs * self._bar.done / self._job.extent.all_epochs, 3)

    def _reserve(self) -> float:
        """Return the seconds that the end takes, the exports' with it, by what the beginning took."""
        load = self._seconds.get("loading the student", 0.0)
        return 1.1 * self._seconds.get("validation replies before", 0.0) + EXPORTS * load
