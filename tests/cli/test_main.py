"""The command line: what it prints, its exit codes (contract 12), and one clear sentence for bad input."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests import hostile
from tests.builds import asked, small_recipe, write_questions
from tests.builds import build as build_run
from tests.commands import Command, Result
from tests.processes import Started, command
from tests.waiting import PATIENCE, wait_for
from tunixhack import __version__
from tunixhack.cli import main
from tunixhack.publish.card import publish_command
from tunixhack.runs.run import Run
from tunixhack.testing import Faults, ScriptedTeacher

DOMAIN = '''
"""Plain questions, of our own."""
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.sources.source import Source
from tunixhack.recipe import Recipe
from tunixhack.steps.base import Verdict
from tunixhack.teachers.llm import ReasoningLLM

SYSTEM = "Answer in a sentence."


class Plain(ReasoningLLM):
    def prompt(self, row):
        return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": row["question"]}]


def picky(rows, ctx):
    return Verdict(keep=rows["answer"].str.ends_with("77."))


steps = (Sample(), Parse(), STEPS)
recipe = Recipe(domain="plain", source=Source("questions.jsonl"), llm=Plain, samples=2, steps=steps)
build = recipe.build
'''
"""A domain file by the README's four parts, but for its steps."""
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
"""So that a process in another folder finds a package that is not installed."""


@pytest.fixture
def domain(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A domain file beside its questions, and one whose last step drops nearly everything."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "picky.py").write_text(DOMAIN.replace("STEPS", "picky"), encoding="utf-8")
    file = tmp_path / "my_domain.py"
    file.write_text(DOMAIN.replace(", STEPS", ""), encoding="utf-8")
    return file


@dataclass(frozen=True)
class Finished:
    """A finished run, with the file and the teacher that it is from."""

    run: Run
    source: Path
    teacher: ScriptedTeacher


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """Built once: what is done to it below changes nothing in its folder."""
    folder = tmp_path_factory.mktemp("finished")
    source = write_questions(folder / "questions.jsonl", 40)
    with ScriptedTeacher() as teacher:
        yield Finished(build_run(small_recipe(source), teacher, folder / "run"), source, teacher)


@pytest.fixture
def finished(built: Finished) -> Iterator[Finished]:
    """The run that was built once, with its source as it was."""
    rows = built.source.read_bytes()
    yield built
    built.source.write_bytes(rows)


# what a good command prints


def test_build_prints_the_funnel_and_ends_with_the_line_that_would_publish_it(
    tunixhack: Command, source: Path, teacher: ScriptedTeacher, tmp_path: Path
):
    out = tmp_path / "run"
    done = tunixhack(
        "build", "creative", "--source", source, "--questions", "3", "--samples", "2", "--teacher", teacher.url,
        "--out", out, "--seed", "5", "--max-tokens", "900",
    )  # fmt: skip
    assert done.code == 0
    run = Run.load(out)
    assert run.train.height == 6
    assert run.state()["order"] == {"questions": 3, "rows": None, "seed": 5}
    assert teacher.stats["bodies"][-1]["max_tokens"] == 900
    assert all(step in done.out for step in run.funnel["step"])
    assert done.out.splitlines()[-1].strip() == publish_command(out)
    assert "sample: 3 of 3 questions, 6 of 6 answers" in done.err


def test_rows_is_another_way_to_say_how_many(
    tunixhack: Command, source: Path, teacher: ScriptedTeacher, tmp_path: Path
):
    done = tunixhack(
        "build", "creative", "--source", source, "--rows", "4", "--samples", "2", "--teacher", teacher.url,
        "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert done.json["rows"]["train"] == 4


def test_a_domain_file_builds_by_its_path(tunixhack: Command, domain: Path, teacher: ScriptedTeacher):
    done = tunixhack("build", domain, "--questions", "3", "--teacher", teacher.url, "--json")
    assert done.code == 0
    assert done.json["folder"] == "runs/plain"
    assert Run.load("runs/plain").train["domain"].to_list() == ["plain"] * 6


def test_json_makes_standard_output_one_object(tunixhack: Command, finished: Finished):
    shown = tunixhack("show", finished.run.folder, "--json")
    assert shown.out.count("\n") == 1
    assert shown.json["rows"] == {"train": 24, "rejected": 6, "questions": 40}
    assert (shown.json["state"], shown.json["exit_code"]) == ("done", 0)
    assert [line["step"] for line in shown.json["funnel"]] == finished.run.funnel["step"].to_list()


def test_help_and_no_command_name_the_verbs(tunixhack: Command):
    assert tunixhack("--help").code == 0
    bare = tunixhack()
    assert bare.code == 2
    assert bare.sentence == f"name a command: {main.VERBS}"


@pytest.mark.parametrize("words", [(), ("teachers",), ("build",), ("teachers", "compare")])
def test_flags_are_shown_without_a_type(tunixhack: Command, words: tuple[str, ...]):
    shown = tunixhack(*words, "--help").out
    assert "--help" in shown
    assert "bool" not in shown.lower()


# bad input


def rewrite(content: bytes | None) -> Callable[[Path], None]:
    return lambda source: source.unlink() if content is None else source.write_bytes(content) and None


BAD_SOURCES = {
    "missing file": (None, "there is no file {source}"),
    "no column": (b'{"prompt": "Write.", "id": 1}\n', "has no column conversations or question: its columns are id, p"),
    "empty": (b"", "questions.jsonl is empty: it has no rows"),
    "only blank questions": (b'{"question": " "}\n{"question": null}\n', "no usable question: all 2 rows are rejected"),
    "broken UTF-8": (b'{"question": "ok"}\n{"question": "\xff"}\n', "questions.jsonl, line 2: byte 15 is not UTF-8"),
    "broken JSON": (b'{"question": "ok"}\n{"question": \n', "questions.jsonl, line 2: not JSON"),
}


@pytest.mark.parametrize("case", BAD_SOURCES)
def test_a_bad_source_gets_one_sentence_and_leaves_a_run_as_it_was(case: str, tunixhack: Command, finished: Finished):
    content, sentence = BAD_SOURCES[case]
    rewrite(content)(finished.source)
    refused(tunixhack, finished, sentence.format(source=finished.source))


BAD_OPTIONS = {
    "unknown domain": ({"domain": "creativ"}, "domain 'creativ' is unknown: did you mean creative?"),
    "no domain file": ({"domain": "riddles.py"}, "there is no domain file riddles.py"),
    "unknown source": ({"source": "a b c"}, "'a b c' is no source"),
    "another source": ({"source": "shipped"}, "choose another --out"),
    "too many questions": ({"questions": "21"}, "there are 40: ask for at most 20, or add questions"),
    "no samples": ({"samples": "0"}, "samples=0: ask for at least one answer a question"),
    "no number": ({"samples": "many"}, "Invalid value for '--samples'"),
    "unknown option": ({"samplez": "4"}, "No such option: --samplez"),
    "unknown trace": ({"trace": "spoken"}, "trace='spoken' is unknown: it is one of native, written, guided"),
    "no guide": ({"trace": "guided"}, "has neither: use --trace written"),
    "unknown teacher": ({"teacher": "lmstudi/qwen"}, "teacher 'lmstudi/qwen' is unknown: did you mean lmstudio/MODEL?"),
    "no teacher": ({"teacher": "http://127.0.0.1:9/v1"}, "no server answers at http://127.0.0.1:9: start it"),
    "no model": ({"teacher": "{url}#scripte"}, "does not serve 'scripte': did you mean scripted?"),
    "no address": ({"teacher": "http://"}, "correct the address in --teacher"),
    "no solutions": ({"teacher": "reference"}, "the source of creative has no solutions of its own"),
    "no GGUF": ({"teacher": "local/none.gguf"}, "none.gguf"),
    "another prompt": ({"max-tokens": "77"}, "add --ask-again"),
    "no tokens": ({"max-tokens": "0"}, "max_tokens=0: an answer needs at least one token"),
    "no student": ({"student": "/nowhere/student"}, "/nowhere/student"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_a_bad_option_gets_one_sentence_and_leaves_a_run_as_it_was(case: str, tunixhack: Command, finished: Finished):
    options, sentence = BAD_OPTIONS[case]
    changed = {name: value.format(url=finished.teacher.url) for name, value in options.items()}
    refused(tunixhack, finished, sentence, **changed)


BAD_SERVERS = {
    "401": (
        {"faults": Faults(always="401")},
        "wants a key, or another one (HTTP 401): set it in the environment variable TUNIX",
    ),
    "missing key": (
        {"api_key": "sk-right"},
        "wants a key, or another one (HTTP 401): set it in the environment variable TUNIX",
    ),
    "404": ({"faults": Faults(always="404")}, "has nothing at /v1/models (HTTP 404): does the address end in /v1?"),
    "HTML": ({"faults": Faults(always="html")}, "answers with a web page: it is not an OpenAI-compatible server"),
    "half a JSON": ({"faults": Faults(always="broken")}, "something that is no JSON"),
    "500": ({"faults": Faults(always="500")}, "answers HTTP 500"),
    "two models": ({"models": ("one", "two")}, "serves 2 models: name one"),
    "401 when asked": ({"faults": Faults(script=("401",) * 9)}, "wants a key, or another one (HTTP 401)"),
    "HTML when asked": ({"faults": Faults(script=("html",) * 9)}, "answers with a web page"),
}


@pytest.mark.parametrize("case", BAD_SERVERS)
def test_a_bad_server_gets_one_sentence_and_leaves_a_run_as_it_was(
    case: str, tunixhack: Command, finished: Finished, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("TUNIXHACK_API_KEY", raising=False)
    behaviour, sentence = BAD_SERVERS[case]
    with ScriptedTeacher(**behaviour) as bad:
        refused(tunixhack, finished, sentence, "--ask-again", teacher=bad.url)


def refused(
    tunixhack: Command, finished: Finished, sentence: str, *flags: str, domain: str = "creative", **options: Any
) -> None:
    """Give a command for a finished run, and see that it is refused with a sentence and changes nothing."""
    run, whence = finished.run, {"source": finished.source, "teacher": finished.teacher.url}
    options = {"questions": "6", "samples": "4", "out": run.folder} | whence | options
    given = [part for name, value in options.items() for part in (f"--{name}", value)]
    before = content(run.folder)
    result = tunixhack("build", domain, *given, "--json", *flags)
    assert sentence in result.sentence
    assert result.code == 2
    assert result.json == {"error": result.sentence, "exit_code": 2}
    assert content(run.folder) == before


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_servers_own_words_are_one_line_and_no_terminal_obeys_them(
    tunixhack: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(
        "tunixhack.teachers.transport.http.redact", lambda text, headers: "\x1b[2J\nclick\r\nhere \u202e"
    )
    with ScriptedTeacher(faults=Faults(always="500")) as bad:
        told = tunixhack("build", "creative", "--source", "shipped", "--teacher", bad.url, "--out", tmp_path).sentence
    assert told.endswith("HTTP 500: \ufffd[2J click here \ufffd")


def test_what_goes_wrong_for_nobody_to_mend_is_told_without_effect_on_the_terminal(
    tunixhack: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def broken(run: Run) -> Run:
        raise RuntimeError(hostile.ALL)

    monkeypatch.setattr(Run, "checked", broken)
    told = tunixhack("show", tmp_path)
    assert told.code == 1
    assert told.err.startswith("Traceback")
    assert hostile.WORDS["markup"] in told.err
    assert not hostile.obeyed(told.err)


def test_no_traceback_from_a_real_process(tmp_path: Path):
    command = [sys.executable, "-m", "tunixhack", "build", "creative", "--source", str(tmp_path / "none.csv"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    result = Result(done.returncode, done.stdout, done.stderr)
    assert result.code == 2
    assert result.sentence == result.json["error"] == f"there is no file {tmp_path / 'none.csv'}"


# the other exit codes


def test_missing_answers_are_exit_3_and_the_same_command_then_ends_with_0(
    tunixhack: Command, domain: Path, teacher: ScriptedTeacher
):
    command = ["build", domain, "--questions", "6", "--teacher", teacher.url, "--json"]
    teacher.change(faults=Faults(script=("ok",) * 5 + ("404",) * 50))
    failed = tunixhack(*command)
    assert (failed.code, failed.json["exit_code"]) == (3, 3)
    assert failed.sentence.startswith("8 answers were not received; ")
    assert failed.err.count("HTTP 404") == 1, "it is told once, and not by Curator's own log"
    teacher.change(faults=Faults())
    assert tunixhack(*command).code == 0


def test_nearly_everything_dropped_is_exit_4(tunixhack: Command, domain: Path, teacher: ScriptedTeacher):
    failed = tunixhack("build", domain.with_name("picky.py"), "--teacher", teacher.url, "--json", "--yes")
    assert (failed.code, failed.json["exit_code"]) == (4, 4)
    assert "step picky dropped" in failed.sentence
    assert "WARNING: step picky drops" in failed.err


def test_an_empty_result_is_exit_4_with_no_line_that_would_publish_it(tunixhack: Command, domain: Path):
    with ScriptedTeacher(style="none") as teacher:
        failed = tunixhack("build", domain, "--questions", "2", "--teacher", teacher.url)
    assert failed.code == 4
    assert "nothing is left of 2 questions" in failed.sentence
    assert "push" not in failed.out + failed.err
    assert tunixhack("show", "runs/plain", "--json").json["status"].startswith("not finished: nothing is left")
    assert "train.parquet has no rows" in tunixhack("push", "runs/plain", "me/stories").sentence


def test_ctrl_c_is_exit_130_and_says_how_to_go_on(tunixhack: Command, domain: Path):
    sent: list[int] = []

    def interrupting(messages: list[dict[str, Any]], seed: int) -> str:
        if seed > 10**6 and not sent:  # no preflight's
            sent.append(seed)
            os.kill(os.getpid(), signal.SIGINT)
        return "<reasoning>r</reasoning><answer>a</answer>"

    with ScriptedTeacher(answer=interrupting) as teacher:
        stopped = tunixhack("build", domain, "--questions", "1", "--teacher", teacher.url, "--json")
    assert (stopped.code, stopped.json["exit_code"]) == (130, 130)
    assert stopped.sentence == "stopped; the same command goes on from here"


# show


def test_show_of_a_folder_that_is_none_is_one_sentence(tunixhack: Command, tmp_path: Path):
    shown = tunixhack("show", tmp_path / "nowhere", "--json")
    assert (shown.code, shown.json["exit_code"]) == (2, 2)
    assert shown.sentence == f"there is no folder {tmp_path / 'nowhere'}"


def test_show_of_a_finished_run_has_funnel_reasons_and_samples(tunixhack: Command, finished: Finished):
    shown = tunixhack("show", finished.run.folder, "--samples", "3")
    assert shown.code == 0
    assert shown.out.startswith(f"{finished.run.folder}: finished\n")
    assert "short 6" in shown.out
    assert shown.out.count("\nquestion ") == 3
    first = next(finished.run.samples(1))
    assert f"question {first['question_id']}, sample 0" in shown.out
    assert first["answer"][:40] in shown.out


def test_show_during_a_run_says_who_is_at_work(tunixhack: Command, domain: Path):
    shown: list[str] = []

    def answer(messages: list[dict[str, Any]], seed: int) -> str:
        if seed > 10**6 and not shown:
            command = [sys.executable, "-m", "tunixhack", "show", "runs/plain"]
            shown.append(subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT).stdout)
        return f"<reasoning>{seed}</reasoning><answer>a</answer>"

    with ScriptedTeacher(answer=answer) as teacher:
        assert tunixhack("build", domain, "--questions", "1", "--teacher", teacher.url).code == 0
    assert f"runs/plain: at work (process {os.getpid()} on " in shown[0]
    assert "0 answers received" in shown[0]


def test_show_after_a_kill_tells_a_command_that_finishes_the_run(
    tunixhack: Command, domain: Path, teacher: ScriptedTeacher
):
    teacher.change(faults=Faults(script=("ok",) * 5 + ("hang",) * 50))
    process = Started(
        domain.with_name("log"), command, "build", str(domain), "--questions", "6", "--teacher", teacher.url
    )
    wait_for(lambda: Run(Path("runs/plain")).store.waiting() >= 4 or not process.running)
    process.kill()
    assert process.wait() == -signal.SIGKILL, process.said
    shown = tunixhack("show", "runs/plain", "--json").json
    assert shown["state"] == "running"
    status, _, told = shown["status"].partition("; go on with: tunixhack ")
    assert status == "not finished; 4 answers received"
    assert "train" not in shown["rows"]
    teacher.change(faults=Faults())
    teacher.reset()
    assert tunixhack(*shlex.split(told)).code == 0
    assert tunixhack("show", "runs/plain", "--json").json["rows"]["train"] == 12
    assert asked(teacher) == 8, "what was received before the kill is not asked again"


# secrets


def test_a_key_reaches_the_server_and_no_file_or_output(
    tunixhack: Command, domain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TUNIXHACK_API_KEY", "sk-open-sesame")
    faults = Faults(script=("ok",) * 5 + ("404",) * 50)
    with ScriptedTeacher(api_key="sk-open-sesame", faults=faults) as guarded:
        command = ["build", domain, "--questions", "6", "--teacher", guarded.url, "--json"]
        failed = tunixhack(*command)
        guarded.change(faults=Faults())
        done = tunixhack(*command)
    assert (failed.code, done.code) == (3, 0)
    nowhere("sesame", failed, done, tunixhack("show", "runs/plain"))


@pytest.mark.parametrize("scheme", ["http", "htp"])
def test_a_password_in_an_address_reaches_no_file_or_output(
    scheme: str, tunixhack: Command, domain: Path, teacher: ScriptedTeacher
):
    assert tunixhack("build", domain, "--questions", "2", "--teacher", teacher.url).code == 0
    spec = teacher.url.replace("http://", f"{scheme}://me:open-sesame@")
    result = tunixhack("build", domain, "--questions", "2", "--teacher", spec, "--json")
    assert result.code == (0 if scheme == "http" else 2)
    nowhere("sesame", result, tunixhack("show", "runs/plain"))


def nowhere(secret: str, *results: Result) -> None:
    for result in results:
        assert secret not in result.out + result.err
    files = [path for path in Path("runs").rglob("*") if path.is_file()]
    assert len(files) >= 6
    for path in files:
        compressed = path.suffix == ".parquet"
        text = str(pl.read_parquet(path).rows()) if compressed else path.read_text(encoding="utf-8")
        assert secret not in text, path


def test_the_version_is_told(tunixhack: Command):
    done = tunixhack("--version")
    assert (done.code, done.out, done.err) == (0, f"tunixhack {__version__}\n", "")
