"""Public benchmarks as tasks, on rows of our own in their real columns, served by a small Hub at the pinned commits."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import QUIET, asked
from tests.commands import Command
from tests.evaluate.conftest import WriteTask
from tests.hub import Hub
from tests.other_process import OtherProcess
from tests.pages import ROOT
from tunixhack.domain_files import find
from tunixhack.errors import UserError
from tunixhack.evaluate import evaluate, plan
from tunixhack.evaluate.benchmarks.gpqa_diamond import OPTIONS
from tunixhack.evaluate.order import Order
from tunixhack.evaluate.public_benchmark import PublicBenchmark, benchmark_tasks, find_benchmark
from tunixhack.evaluate.task import Task, find_tasks
from tunixhack.steps.against import read_against
from tunixhack.steps.benchmarks import KNOWN, Benchmark
from tunixhack.testing import ScriptedTeacher

MEMBER = "hf_member"
TESTS = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-1) == -2\n"


def gpqa(number: int) -> dict[str, Any]:
    return {
        "Question": f"Which of these is {number} seconds?\n",
        "Correct Answer": f" {number} s\n",
        **{f"Incorrect Answer {wrong}": f"{number + wrong} s\n" for wrong in (1, 2, 3)},
        "Subdomain": "Time",
    }


ROWS: dict[str, list[dict[str, Any]]] = {
    "aime24": [
        {"id": n, "problem": f"Find the sum of {n} and 4.", "solution": rf"\boxed{{{n + 4}}}", "url": "x"}
        for n in range(3)
    ],
    "aime25": [{"problem": f"Find the sum of {n} and 5.", "answer": str(n + 5), "id": str(n)} for n in range(3)],
    "math-500": [
        {"problem": rf"Write $\frac{{{n}}}{{7}}$.", "solution": "It stands there.", "answer": rf"\frac{{{n}}}{{7}}"}
        | {"subject": "Algebra", "level": 1, "unique_id": f"test/{n}.json"}
        for n in range(1, 4)
    ],
    "gpqa-diamond": [gpqa(n) for n in range(4)],
    "humaneval": [
        {"task_id": "HumanEval/0", "prompt": 'def double(n: int) -> int:\n    """Double n."""\n'}
        | {"canonical_solution": "    return 2 * n\n", "test": TESTS, "entry_point": "double"}
    ],
}
"""Rows in the columns of each."""
FILES = {
    "aime24": "test-00000-of-00001.parquet",
    "aime25": "test.jsonl",
    "math-500": "test.jsonl",
    "gpqa-diamond": "gpqa_diamond.csv",
    "humaneval": "openai_humaneval/test-00000-of-00001.parquet",
}


class PinnedHub(Hub):
    """A Hub whose repositories are at the commits that are asked for."""

    def commit(self, repo: str, branch: str = "main") -> str:
        return next(str(one.revision) for one in KNOWN.values() if one.dataset == repo)


def write(name: str, folder: Path) -> Path:
    """Write a benchmark as a repository, with its files named as the real ones are."""
    file, rows = folder / FILES[name], pl.DataFrame(ROWS[name])
    file.parent.mkdir(parents=True)
    if file.suffix == ".parquet":
        rows.write_parquet(file)
    elif file.suffix == ".csv":
        rows.write_csv(file)
        (folder / "gpqa_main.csv").write_text("Question\nNone of the diamonds\n", encoding="utf-8")
        configs = "".join(f"- config_name: {one}\n  data_files: {one}.csv\n" for one in ("gpqa_main", "gpqa_diamond"))
        (folder / "README.md").write_text(f"---\nconfigs:\n{configs}---\n", encoding="utf-8")
    else:
        rows.write_ndjson(file)
    return folder


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    repos = {KNOWN[name].dataset: write(name, folder / name) for name in ROWS}
    gated = frozenset(KNOWN[name].dataset for name in ROWS if KNOWN[name].terms)
    with PinnedHub(repos, gated=gated, tokens={MEMBER: "member"}, accepted=frozenset({"member"})) as served:
        yield served


@pytest.fixture(scope="module")
def online(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherProcess]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    home = str(tmp_path_factory.mktemp("home"))
    with OtherProcess(clean | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": home, "NO_PROXY": "127.0.0.1"}) as process:
        yield process


def evaluated(on: str, teacher: str, out: str, token: str = "", **options: Any) -> dict[str, Any]:
    """Evaluate a teacher; for the process whose Hub this is."""
    os.environ["HF_TOKEN"] = token
    try:
        return evaluate([teacher], on, out=out, report=QUIET, **options).as_dict()
    except UserError as error:
        return {"error": str(error)}


def solve(messages: Any, seed: int | None) -> str:
    """Answer every question of `ROWS` rightly."""
    question = messages[-1]["content"]
    if found := re.findall(r"sum of (\d+) and (\d+)", question):
        answer = str(sum(map(int, found[-1])))
    elif found := re.findall(r"\\frac\{\d\}\{7\}", question):
        answer = rf"It is \boxed{{{found[-1]}}}."
    else:
        (number,) = re.findall(r"is (\d+) seconds", question)
        (letter,) = re.findall(rf"^([A-D])\) {number} s$", question, re.M)
        answer = f"{letter}) is right."
    return f"<reasoning>I look (at {seed}).</reasoning><answer>{answer}</answer>"


@pytest.fixture
def solver() -> Iterator[ScriptedTeacher]:
    with ScriptedTeacher(answer=solve) as teacher:
        yield teacher


def test_they_are_asked_by_name_at_their_commits_as_often_as_their_passes(
    online: OtherProcess, solver: ScriptedTeacher, tmp_path: Path
):
    found = online(evaluated, "aime24,AIME25,math500,gpqa_diamond", solver.url, tmp_path / "out", MEMBER)
    assert [(line["task"], line["n"], line["k"], line["right"]) for line in found["scores"]] == [
        ("aime24", 3, 10, 1.0),
        ("aime25", 3, 10, 1.0),
        ("math-500", 3, 1, 1.0),
        ("gpqa-diamond", 4, 3, 1.0),
    ]
    assert {name: (told["commit"], told["left_out"]) for name, told in found["tasks"].items()} == {
        name: (KNOWN[name].revision, {}) for name in found["tasks"]
    }
    assert [told["temperature"] for told in found["tasks"].values()] == [0.7, 0.7, 0.0, 0.7]
    assert asked(solver) == 30 + 30 + 3 + 12
    assert any("the terms of gpqa-diamond" in note and "publish figures, and no replies" in note
               for note in found["notes"])  # fmt: skip


def test_every_pass_of_a_question_has_a_seed_of_its_own(online: OtherProcess, solver: ScriptedTeacher, tmp_path: Path):
    online(evaluated, "aime25", solver.url, tmp_path / "out")
    replies = pl.read_parquet(tmp_path / "out" / "replies.parquet")
    assert replies["seed"].n_unique() == 30


def test_a_gated_one_says_what_to_accept_and_where(hub: Hub, solver: ScriptedTeacher, tmp_path: Path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    home = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}
    with OtherProcess(clean | home) as stranger:  # which has nothing in its cache
        (said,) = stranger(evaluated, "gpqa_diamond", solver.url, tmp_path / "out").values()
    assert f"is gated: accept its terms at {hub.endpoint}/datasets/Idavidrein/gpqa, then set HF_TOKEN" in said
    assert asked(solver) == 0


def test_the_right_option_has_every_letter_and_an_order_that_only_the_question_decides():
    rows = [gpqa(number) for number in range(400)]
    letters = Counter(OPTIONS.right_option(row)[0] for row in rows)
    assert sorted(letters) == list("ABCD")
    assert min(letters.values()) > 70
    for row in rows[:20]:
        turned = row | {
            "Incorrect Answer 1": row["Incorrect Answer 3"],
            "Incorrect Answer 3": row["Incorrect Answer 1"],
        }
        assert OPTIONS.with_question(turned) == OPTIONS.with_question(row)
    assert "\n\n" not in OPTIONS.with_question(rows[0])


# how often and how warm


@pytest.mark.parametrize(
    ("samples", "temperature", "passes", "found"),
    [
        (None, None, 1, (1, 0.0)),
        (None, None, 10, (10, 0.7)),
        (None, 1.0, 10, (10, 1.0)),
        (None, 1.0, 1, (1, 1.0)),
        (4, None, 10, (4, 0.7)),
        (1, None, 10, (1, 0.0)),
        (1, 0.0, 10, (1, 0.0)),
        (4, 0.3, 1, (4, 0.3)),
    ],
)
def test_what_the_user_gives_holds_for_every_task_and_a_benchmark_has_passes_of_its_own(
    samples: int | None, temperature: float | None, passes: int, found: tuple[int, float]
):
    order = Order.read(None, (), samples=samples, temperature=temperature).for_task("task", passes)
    assert (order.samples, order.temperature) == found


@pytest.mark.parametrize(
    ("on", "options"), [("aime24", {"temperature": 0.0}), ("sums", {"samples": 4}), ("aime24,sums", {"samples": 4})]
)
def test_equal_replies_are_refused_before_anything_is_read(
    on: str, options: dict[str, Any], solver: ScriptedTeacher, write_task: WriteTask, tmp_path: Path
):
    named = on.replace("sums", str(write_task()))
    with pytest.raises(UserError, match=r"(aime24: 10|sums: 4) samples at temperature 0 are"):
        evaluate([solver.url], named, out=tmp_path / "out", report=QUIET, **options)


def test_the_command_that_goes_on_repeats_what_was_given(online: OtherProcess, solver: ScriptedTeacher, tmp_path: Path):
    own = online(evaluated, "aime24", solver.url, tmp_path / "own")
    assert "--samples" not in own["command"]
    given = {"samples": 1, "temperature": 0.0}
    found = online(greedily, "aime24", solver.url, tmp_path / "given")
    assert "--samples 1" in found["command"]
    assert "--temperature 0.0" in found["command"]
    assert {name: found["tasks"]["aime24"][name] for name in given} == given


def greedily(on: str, teacher: str, out: str) -> dict[str, Any]:
    return evaluated(on, teacher, out, samples=1, temperature=0.0)


def test_a_plan_counts_the_passes_and_a_file_can_stand_in_for_the_hub(
    tunixhack: Command, solver: ScriptedTeacher, write_task: WriteTask, tmp_path: Path
):
    rows = write_task(ROWS["aime25"], name="mine.jsonl")
    arguments = ("evaluate", solver.url, "--on", "aime25", "--source", rows, "--out", tmp_path / "out")
    told = tunixhack(*arguments, "--plan")
    assert f"{solver.url}: 30 replies to ask" in told.out
    done = tunixhack(*arguments)
    assert done.code == 0
    assert "3 questions × 10" in " ".join(done.out.split()), "wherever the line is broken"
    assert asked(solver) == 30


def test_a_judge_is_told_of_all_passes_before_it_is_asked(
    solver: ScriptedTeacher, teacher: ScriptedTeacher, write_task: WriteTask
):
    rows = str(write_task(ROWS["aime25"], name="mine.jsonl"))
    planned = plan([solver.url, teacher.url], "aime25", source=rows, judge=solver.url, report=QUIET)
    assert any(f"at most {2 * 3 * 10} requests, each pair in both orders" in line for line in planned.lines())


# names


def test_tasks_and_benchmarks_to_compare_with_have_the_same_names_and_datasets():
    for name in benchmark_tasks():
        task, compared = find_benchmark(name), Benchmark.named(name)
        assert task is not None
        assert task.name == name == compared.name
        source: Any = Task.find(name).source
        assert (source.path, source.name, source.split, source.revision, source.license) == (
            compared.place, compared.config, compared.split, compared.revision, KNOWN[name].license
        )  # fmt: skip
        assert re.fullmatch("[0-9a-f]{40}", source.revision)


@pytest.mark.parametrize("spelling", ["math500", "math-500", "MATH_500"])
def test_a_name_is_found_however_it_is_spelt(spelling: str):
    assert Task.find(spelling).name == "math-500"
    assert Benchmark.named(spelling).name == "math-500"
    assert read_against(f"default,-{spelling}", ("gsm8k", "math-500")) == ("gsm8k",)
    with pytest.raises(UserError, match="names the task math-500 twice"):
        find_tasks(f"math-500,{spelling}", None) if spelling != "math-500" else find_tasks("math500,math-500", None)


@pytest.mark.parametrize(
    ("on", "says"),
    [
        ("gsm8k", "and no task: those that are asked by name are aime24, aime25"),
        ("livecodebench", "--on 'livecodebench' is no task"),
        ("aime23", "did you mean aime"),
    ],
)
def test_other_names_are_a_sentence(on: str, says: str):
    with pytest.raises(UserError, match=re.escape(says)):
        find_tasks(on, None)


@pytest.mark.parametrize("path", sorted((ROOT / "tunixhack" / "evaluate" / "benchmarks").glob("[a-z]*.py")), ids=str)
def test_a_task_is_a_short_file(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 20


def test_the_page_says_of_each_what_is_asked_and_how():
    page = (ROOT / "docs" / "evaluate.md").read_text(encoding="utf-8").partition("## Public benchmarks")[2]
    for name in benchmark_tasks():
        task = find_benchmark(name)
        assert task is not None
        (line,) = re.findall(rf"^\| `{task.name}`.*$", page, re.M)
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1] == f"[{task.known.dataset}](https://huggingface.co/datasets/{task.known.dataset})"
        assert cells[2:5] == [task.known.license or "none named", f"{task.known.questions:,}", str(task.passes)]
        assert f"`{task.known.revision[:7]}`" in line if task.known.revision else False


# programs


@pytest.mark.parametrize("score", ["tunixhack.verifiers.nothing:passes", "tunixhack.verifiers.code:nothing"])
def test_a_benchmark_is_refused_where_nothing_can_run_its_answers(score: str):
    with pytest.raises(UserError, match="humaneval cannot be scored by this version: its answers are programs"):
        PublicBenchmark(name="humaneval", asked_as="code", score=score).recipe()


@pytest.mark.skipif("sys.platform != 'linux'", reason="code is run on Linux alone")
@pytest.mark.parametrize(("body", "right"), [("return n + n", 1.0), ("return n * n", 0.0)])
def test_humaneval_is_scored_by_its_tests_which_nobody_is_shown(
    body: str, right: float, write_task: WriteTask, tmp_path: Path
):
    rows, shown = write_task(ROWS["humaneval"], name="mine.jsonl"), []

    def answer(messages: Any, seed: int | None) -> str:
        shown.append(json.dumps(messages))
        return f"<reasoning>So be it.</reasoning><answer>```python\ndef double(n):\n    {body}\n```</answer>"

    with ScriptedTeacher(answer=answer) as teacher:
        found = evaluate([teacher.url], "humaneval", source=str(rows), out=tmp_path / "out", report=QUIET)
    assert found.content["tasks"]["humaneval"]["left_out"] == {}, "its own solution passes"
    assert found.scores["right"].to_list() == [right]
    assert any("def double" in one for one in shown)
    assert not [one for one in shown if "candidate" in one or "return 2 * n" in one]


def test_a_teacher_is_asked_as_in_the_domain_that_is_nearest():
    assert {name: type(find(str(find_benchmark(name).asked_as))).__name__ for name in benchmark_tasks()}  # type: ignore[union-attr]
    assert Task.find("aime24").recipe.llm is find("math").llm
    assert Task.find("gpqa-diamond").recipe.llm is find("science").llm
