"""Progress: one bar, at most one update a second, and lines where there is no terminal."""

from __future__ import annotations

import io
import itertools
import re

import pytest

from tests import hostile
from tests.clock import Clock
from tunixhack._util import progress
from tunixhack._util.progress import Reporter

STAGE = progress.ProgressTask


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tunixhack._util.progress.time", clock)
    monkeypatch.setattr(
        progress, "ProgressTask", lambda *given, **named: STAGE(*given, **{"started": clock.now} | named)
    )
    return clock


def work(report: Reporter, clock: Clock, seconds: int, a_second: int = 20) -> None:
    """Report ``a_second`` answers of 100 tokens each second."""
    total = seconds * a_second
    with report.stage("sample", total=total, unit="answers", questions=total // 4):
        for _ in range(total):
            clock.now += 1 / a_second
            report.advance(1, tokens=100)


def test_a_log_file_gets_a_line_every_ten_seconds_and_one_at_the_end(clock: Clock):
    log = io.StringIO()
    work(Reporter(log), clock, seconds=35)
    lines = log.getvalue().splitlines()
    assert 4 <= len(lines) <= 5
    assert lines[-1].startswith("sample: 175 of 175 questions, 700 of 700 answers")
    assert all("\x1b" not in line for line in lines)


def test_a_terminal_gets_at_most_one_update_a_second(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    shown: list[float] = []
    line = STAGE.line
    monkeypatch.setattr(STAGE, "line", lambda self: shown.append(clock.now) or line(self))
    work(Reporter(Terminal()), clock, seconds=10)
    assert 9 <= len(shown) <= 12
    *regular, _last = [later - earlier for earlier, later in itertools.pairwise(shown)]
    assert min(regular) >= progress.EVERY


def test_a_terminal_of_80_columns_is_told_stage_counts_rates_and_time_left(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    work(Reporter(terminal), clock, seconds=10)
    text = " ".join(re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]|━", " ", terminal.getvalue()).split())
    assert text.endswith("sample: 50 of 50 questions, 200 of 200 answers, 20.0 answers/s, 2,000 tokens/s, 0:00 left")


@pytest.mark.parametrize(
    ("seconds", "left"), [(4.0, "0:04"), (59.6, "1:00"), (3599.0, "59:59"), (3600.0, "1:00:00"), (90061.0, "25:01:01")]
)
def test_time_left_is_told_in_hours_minutes_and_seconds(seconds: float, left: str, clock: Clock):
    stage = progress.ProgressTask("sample", total=2, unit="answers", questions=1, done=1, started=clock.now - seconds)
    assert stage.line().endswith(f", {left} left")


def test_before_the_first_answer_the_time_left_is_unknown(clock: Clock):
    assert progress.ProgressTask("sample", 8, "answers", 2).line().endswith("time left unknown")


def test_tokens_that_are_not_told_are_not_shown_as_none(clock: Clock):
    log = io.StringIO()
    report = Reporter(log)
    with report.stage("probe", total=2, unit="questions", questions=2):
        clock.now += 1
        report.advance(2)
    assert "tokens" not in log.getvalue()


def test_a_lower_bound_of_the_tokens_is_marked_as_one(clock: Clock):
    log = io.StringIO()
    report = Reporter(log)
    with report.stage("sample", total=4, unit="answers", questions=1):
        clock.now += 1
        report.advance(4, tokens=50, at_least=True)
    assert "≥ 50 tokens/s" in log.getvalue()


def test_quiet_says_nothing_but_warnings(clock: Clock):
    log = io.StringIO()
    report = Reporter(log, quiet=True)
    report.say("hello")
    work(report, clock, seconds=20)
    report.warn("beware")
    assert log.getvalue() == "WARNING: beware\n"


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_words_of_others_are_one_line_without_effect(stream: type[io.StringIO], clock: Clock):
    log = stream()
    report = Reporter(log)
    report.say(f"the server says {hostile.ALL}")
    report.warn(f"beware of {hostile.ALL}")
    assert len(log.getvalue().splitlines()) == 2
    assert not hostile.obeyed(log.getvalue())
    assert log.getvalue().count(hostile.WORDS["markup"]) == 2


def test_a_text_of_several_lines_keeps_them(clock: Clock):
    log = io.StringIO()
    Reporter(log).show("one\n\x1b[1mtwo\n")
    assert log.getvalue() == "one\n\ufffd[1mtwo\n\n"


def test_the_name_of_a_step_has_no_effect_in_a_bar(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "400")
    terminal = Terminal()
    with Reporter(terminal).stage(hostile.ALL, total=2, unit="answers", questions=2):
        pass
    assert hostile.WORDS["markup"] in terminal.getvalue()
    for word in ("escape", "direction", "c1", "return"):
        assert hostile.WORDS[word] not in terminal.getvalue()


def test_nothing_goes_to_standard_output(clock: Clock, capsys: pytest.CaptureFixture[str]):
    report = Reporter()
    report.say("hello")
    work(report, clock, seconds=2)
    assert capsys.readouterr().out == ""


def test_who_reads_it_may_go(clock: Clock):
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    report = Reporter(Gone())
    work(report, clock, seconds=35)
    report.say("done")
    report.warn("done")


def test_a_sentence_beside_a_bar_has_a_line_of_its_own(clock: Clock):
    terminal = Terminal()
    report = Reporter(terminal)
    with report.stage("sample", total=4, unit="answers", questions=4):
        report.say("[before] the first :smile:")
        for _ in range(4):
            clock.now += 1
            report.advance(1)
            report.warn("a" * 200)
    report.say("after it")
    lines = [re.sub(r".*\r|\x1b\[[0-9?]*[A-Za-z]", "", line) for line in terminal.getvalue().split("\n")]
    assert [line for line in lines if "sample:" not in line and line.strip(" \u2501\u257a\u2578")] == [
        "[before] the first :smile:",
        *["WARNING: " + "a" * 200] * 4,
        "after it",
    ]
