"""In a notebook, what is said in a cell is one output of it."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests._util.test_progress import work
from tests.clock import Clock
from tunixhack._util import progress
from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError


class ZMQInteractiveShell:
    """What IPython calls the shell of a notebook's kernel."""

    execution_count = 1


class Shell(ZMQInteractiveShell):
    """What Colab calls its own."""


class Display:
    """Stands in for IPython's display, and for the notebook in front of it."""

    def __init__(self) -> None:
        self.outputs: list[str] = []
        self.drawn = 0

    def __call__(self, content: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert (raw, display_id) == (True, True)
        self.outputs.append("")
        place = len(self.outputs) - 1

        def update(content: dict[str, str], *, raw: bool) -> None:
            assert list(content) == ["text/plain"], "a server's words are no HTML"
            self.outputs[place] = content["text/plain"]
            self.drawn += 1

        update(content, raw=raw)
        return SimpleNamespace(update=update)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock, stage = Clock(), progress.ProgressTask
    monkeypatch.setattr("tunixhack._util.progress.time", clock)
    monkeypatch.setattr(progress, "ProgressTask", lambda *given: stage(*given, started=clock.now))
    return clock


@pytest.fixture(params=[ZMQInteractiveShell, Shell])
def shell(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ZMQInteractiveShell:
    shell: ZMQInteractiveShell = request.param()
    ipython = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=Display()))
    monkeypatch.setitem(sys.modules, "IPython", ipython)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)  # type: ignore[arg-type]
    return shell


@pytest.fixture
def display(shell: ZMQInteractiveShell) -> Display:
    display: Display = sys.modules["IPython.display"].display
    return display


def test_sentences_and_bars_of_a_cell_are_one_output(
    display: Display, clock: Clock, capsys: pytest.CaptureFixture[str]
):
    report = Reporter()
    assert report.in_notebook
    report.say("hello")
    work(report, clock, seconds=10)
    report.warn("beware")
    work(report, clock, seconds=10)
    (output,) = display.outputs
    hello, first, beware, second = output.splitlines()
    assert (hello, beware) == ("hello", "WARNING: beware")
    assert first == second
    assert first.startswith(f"{'█' * 24} sample: 50 of 50 questions, 200 of 200 answers")
    assert 20 <= display.drawn <= 30, "once a second"
    assert capsys.readouterr() == ("", "")


def test_a_bar_is_there_before_the_first_answer_and_sentences_come_above_it(display: Display, clock: Clock):
    report = Reporter()
    with report.stage("sample", total=8, unit="answers", questions=2):
        assert display.outputs[0].startswith("░" * 24 + " sample: 0 of 2 questions")
        report.say("the server is away")
        clock.now += 2
        report.advance(2)
    above, bar = display.outputs[0].splitlines()
    assert above == "the server is away"
    assert bar.startswith("█" * 6 + "░" * 18 + " sample: 0 of 2 questions, 2 of 8 answers, 1.0 answers/s")


def test_a_bar_that_an_error_ended_stays_as_it_was(display: Display, clock: Clock):
    report = Reporter()
    stage = report.stage("sample", total=4, unit="answers", questions=1)
    stage.__enter__()
    report.advance(1)
    stage.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    report.say("to go on: …")
    bar, sentence = display.outputs[0].splitlines()
    assert "1 of 4 answers" in bar
    assert sentence == "to go on: …"


def test_a_stage_of_nothing_is_a_full_bar(display: Display, clock: Clock):
    with Reporter().stage("sample", total=0, unit="answers", questions=0):
        pass
    assert display.outputs[0].startswith("█" * 24)


def test_another_cell_gets_an_output_of_its_own(display: Display, shell: ZMQInteractiveShell):
    report = Reporter()
    report.say("one")
    shell.execution_count = 2
    report.say("two")
    assert display.outputs == ["one", "two"]


def test_quiet_shows_warnings_alone(display: Display, clock: Clock):
    report = Reporter(quiet=True)
    report.say("hello")
    work(report, clock, seconds=20)
    assert display.outputs == []
    report.warn("beware")
    assert display.outputs == ["WARNING: beware"]


def test_a_stream_that_is_named_gets_it_all(display: Display, capsys: pytest.CaptureFixture[str]):
    Reporter(sys.stdout).say("hello")
    assert capsys.readouterr().out == "hello\n"
    assert display.outputs == []


def test_a_terminals_ipython_is_no_notebook(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=object))  # type: ignore[arg-type]
    assert not Reporter().in_notebook
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))  # type: ignore[arg-type]
    assert not Reporter().in_notebook


def test_an_error_that_the_user_can_mend_is_a_sentence_without_a_traceback():
    ultratb = pytest.importorskip("IPython.core.interactiveshell")
    shell = ultratb.InteractiveShell()
    shown: list[str] = []
    shell._showtraceback = lambda kind, error, lines: shown.extend(lines)
    try:
        raise UserError("there is no folder x")
    except UserError:
        shell.showtraceback()
    assert shown == ["UserError: there is no folder x"]
