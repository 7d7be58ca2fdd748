"""An evaluation says the same however it was cut up, and asks nothing twice."""

from __future__ import annotations

import importlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import hostile
from tests.builds import QUIET, asked
from tests.commands import Command
from tests.evaluate.conftest import Toy, WriteTask, sums
from tunixhack._util.progress import Reporter
from tunixhack.domain_files import find
from tunixhack.errors import UserError
from tunixhack.evaluate import Evaluation, evaluate, plan
from tunixhack.evaluate.evaluation import REPLIES, SCORES
from tunixhack.runs import tables as run_tables
from tunixhack.runs.tables import table_files
from tunixhack.testing import Faults, ScriptedTeacher

DRAWN = {"temperature": 1.0, "samples": 2, "max_tokens": 16}
"""A draw of sixteen tokens each turns with the slightest difference in how it was computed."""


def run(arms: Sequence[str | Path], on: Path | str, out: Path, **options: Any) -> Evaluation:
    return evaluate(arms, str(on), out=out, report=QUIET, **({"questions": 12} | options))


def tables(found: Evaluation) -> tuple[Any, ...]:
    content = {name: found.content[name] for name in ("scores", "differences", "arms", "exit_code")}
    return found.replies.rows(), found.questions.rows(), json.dumps(content, sort_keys=True)


def right_answer(messages: Sequence[Mapping[str, Any]], seed: int | None) -> str:
    """Add up, in the form that is asked for; every third sum is wrong."""
    one, other = map(int, re.findall(r"(\d+) \+ (\d+)", messages[-1]["content"])[-1])
    total = one + other + (one % 3 == 0)
    return f"<reasoning>I add {one} and {other}.</reasoning>\n<answer>It is {total}.</answer>"


@pytest.fixture
def adder() -> Iterator[ScriptedTeacher]:
    with ScriptedTeacher(answer=right_answer) as teacher:
        yield teacher


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count what a student is asked; four at once, so that there are several batches."""
    from tunixhack.evaluate import students

    told: list[int] = []
    usual = students.generate

    def counted(student: Any, questions: Sequence[Any], **options: Any) -> Any:
        told.append(len(questions))
        return usual(student, questions, **options)

    monkeypatch.setattr(students, "generate", counted)
    monkeypatch.setattr(students, "most_rows", lambda student, seeded: 4)
    return told


# the same tables, however it came about


def test_an_interrupted_evaluation_equals_an_uninterrupted_one(
    toy: Toy, write_task: WriteTask, batches: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from tunixhack.evaluate import students

    task = write_task()
    whole = run([toy.student], task, tmp_path / "whole", **DRAWN)
    usual = students.generate

    def killed(*arguments: Any, **options: Any) -> Any:
        if len(batches) >= 3:
            raise KeyboardInterrupt
        return usual(*arguments, **options)

    batches.clear()
    monkeypatch.setattr(students, "generate", killed)
    with pytest.raises(KeyboardInterrupt):
        run([toy.student], task, tmp_path / "killed", **DRAWN)
    monkeypatch.setattr(students, "generate", usual)
    done = sum(batches)
    assert done == 12
    batches.clear()
    again = run([toy.student], task, tmp_path / "killed", **DRAWN)
    assert sum(batches) == 2 * 24 - done
    assert tables(again) == tables(whole)


def test_the_order_of_the_file_changes_nothing(toy: Toy, write_task: WriteTask, tmp_path: Path):
    one = run([toy.student], write_task(), tmp_path / "one", **DRAWN)
    shuffled = write_task([*reversed(sums(range(10)))])
    assert tables(run([toy.student], shuffled, tmp_path / "other", **DRAWN)) == tables(one)


def test_shards_merged_by_reuse_equal_the_whole_and_ask_nothing(
    toy: Toy, adder: ScriptedTeacher, write_task: WriteTask, batches: list[int], tmp_path: Path
):
    task, arms = write_task(), ["base", toy.student, adder.url]
    whole = run(arms, task, tmp_path / "whole", **DRAWN)
    parts = [tmp_path / f"part{number}" for number in (1, 2, 3)]
    for number, part in enumerate(parts, 1):
        assert run(arms, task, part, shard=f"{number}/3", **DRAWN).scores["n"].to_list() == [4, 4, 4]
    batches.clear()
    adder.reset()
    merged = run(arms, task, tmp_path / "merged", reuse=parts, **DRAWN)
    assert (batches, asked(adder)) == ([], 0)
    assert tables(merged) == tables(whole)


def test_what_grew_question_by_question_equals_what_was_asked_in_one_go(
    toy: Toy, write_task: WriteTask, tmp_path: Path
):
    task = write_task()
    whole = run([toy.student], task, tmp_path / "whole", **DRAWN)
    for questions in (1, 4, 9):
        run([toy.student], task, tmp_path / "grown", questions=questions, **DRAWN | {"samples": 1})
    assert tables(run([toy.student], task, tmp_path / "grown", **DRAWN)) == tables(whole)


# what is asked, and what is not


def test_more_questions_samples_or_arms_ask_the_difference(
    toy: Toy, adder: ScriptedTeacher, write_task: WriteTask, batches: list[int], tmp_path: Path
):
    task, out, options = write_task(), tmp_path / "out", {"temperature": 1.0, "max_tokens": 8}
    run([toy.student, adder.url], task, out, questions=5, **options)
    assert (sum(batches), asked(adder)) == (5, 5)
    run([toy.student, adder.url], task, out, questions=9, **options)
    assert (sum(batches), asked(adder)) == (9, 9)
    run([toy.student, adder.url], task, out, questions=9, samples=2, **options)
    assert (sum(batches), asked(adder)) == (18, 18)
    run([toy.student, adder.url, "base"], task, out, questions=9, samples=2, **options)
    assert (sum(batches), asked(adder)) == (36, 18)
    fewer = run([toy.student, adder.url], task, out, questions=5, **options)
    assert (sum(batches), asked(adder)) == (36, 18)
    assert fewer.replies.height == 10


DOMAIN = """
from tunixhack.recipes import general

recipe = general.recipe.replace(domain="sums", test={test!r}, score={score})
"""


def test_another_scorer_asks_nothing(adder: ScriptedTeacher, write_task: WriteTask, tmp_path: Path):
    domain, task = tmp_path / "sums.py", str(write_task())
    domain.write_text(DOMAIN.format(test=task, score="lambda row: row['reference'] in row['answer']"))
    strict = run([adder.url], domain, tmp_path / "out", questions=30)
    assert 0.5 < strict.scores["right"][0] < 0.9
    adder.reset()
    domain.write_text(DOMAIN.format(test=task, score="lambda row: 1"))
    assert run([adder.url], domain, tmp_path / "out", questions=30).scores["right"][0] == 1
    assert asked(adder) == 0


def test_a_student_that_was_trained_further_is_another_one(
    toy: Toy, write_task: WriteTask, batches: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from tunixhack.train.trained import TrainedStudent

    task = write_task()
    run([toy.student], task, tmp_path / "out", max_tokens=4)
    batches.clear()
    monkeypatch.setattr(TrainedStudent, "checkpoint_digest", lambda self: "of other weights")
    run([toy.student], task, tmp_path / "out", max_tokens=4)
    assert sum(batches) == 12  # and those of the base, which is the same, are not asked again


# which questions


def test_questions_that_an_arm_was_trained_on_are_left_out_and_counted(
    toy: Toy, adder: ScriptedTeacher, write_task: WriteTask, tmp_path: Path
):
    learnt = [{"question": f"what is  {a} + {b}?", "reference": str(a + b)} for a in range(4) for b in range(6)]
    task = write_task([*sums(range(5)), *learnt])
    found = run(["base", toy.student, adder.url], task, tmp_path / "out", questions=100, max_tokens=4)
    told = found.content["tasks"]["sums"]
    validated = 24 - told["left_out"]["trained_on"]
    assert 0 <= validated <= 8
    assert told["asked"] == 20 + validated
    assert told["looked_at"] == 44
    assert any("in the data that an arm was trained on" in note for note in found.notes)
    alone = run([adder.url], task, tmp_path / "alone", questions=100)
    assert alone.content["tasks"]["sums"]["asked"] == 44


def test_a_task_that_was_learnt_as_a_whole_is_refused(toy: Toy, write_task: WriteTask, tmp_path: Path):
    from tunixhack.train.data.datasets import read

    rows = [json.loads(line) for line in (toy.base.parent / "sums.jsonl").read_text().splitlines()]
    found = run(["base", toy.student], write_task([{"question": r["prompt"], "reference": "1"} for r in rows]),
                tmp_path / "out", questions=200, max_tokens=4)  # fmt: skip
    learnt = found.content["tasks"]["sums"]["left_out"]["trained_on"]
    assert learnt == len(read(str(toy.base.parent / "sums.jsonl")).examples) - 8
    one = found.replies["question_id"].to_list()
    assert len(set(one)) == 8  # the validation questions, which were never learnt


def test_references_that_do_not_pass_their_own_scorer_are_left_out_and_counted(
    adder: ScriptedTeacher, write_task: WriteTask, tmp_path: Path
):
    long = {
        "question": "What is 1 + 1, and why?",
        "reference": "Because the one is behind the other, it is two of them.",
    }
    none = {"question": "What is 2 + 2, and why?", "reference": None}
    found = run([adder.url], write_task([*sums(range(5)), long, none]), tmp_path / "out", questions=50)
    assert found.content["tasks"]["sums"]["left_out"] == {"no_reference": 1, "unread_reference": 1}
    assert found.content["tasks"]["sums"]["asked"] == 20


# figures


def test_an_arm_that_is_right_more_often_is_better(adder: ScriptedTeacher, write_task: WriteTask, tmp_path: Path):
    with ScriptedTeacher(answer=lambda messages, seed: "<reasoning>x</reasoning><answer>0</answer>") as wrong:
        found = run([wrong.url, adder.url], write_task(), tmp_path / "out", questions=40)
    assert found.scores["right"].to_list() == [0, 0.6]
    (line,) = found.differences.rows(named=True)
    assert (line["verdict"], line["n"], round(line["difference"], 2)) == ("better", 40, 0.6)
    assert "these students" not in line["sentence"]
    assert found.exit_code == 0


def test_questions_that_belong_together_are_a_cluster(adder: ScriptedTeacher, write_task: WriteTask, tmp_path: Path):
    rows = [row | {"cluster": int(row["question"].split()[2]) // 2} for row in sums(range(16))]
    rows[0]["cluster"] = None  # which stands alone
    with ScriptedTeacher(answer=lambda messages, seed: "<reasoning>x</reasoning><answer>0</answer>") as wrong:
        arms = [wrong.url, adder.url]
        together = run(arms, write_task(rows), tmp_path / "together", questions=64)
        alone = run(arms, write_task(sums(range(16))), tmp_path / "alone", questions=64)
    assert together.replies["cluster"].null_count() == 2
    assert set(together.replies["cluster"].drop_nulls()) == {str(one) for one in range(8)}
    told, apart = together.differences.row(0, named=True), alone.differences.row(0, named=True)
    assert (told["n"], told["clusters"], apart["clusters"]) == (64, 9, 64)
    assert told["difference"] == apart["difference"]
    assert told["high"] - told["low"] > 1.3 * (apart["high"] - apart["low"])
    assert "64 questions in 9 clusters × 1 reply" in told["sentence"]
    assert "in 9 clusters" in together.title("sums")
    assert together.scores["clusters"].to_list() == [9, 9]


@pytest.mark.parametrize(
    "cluster", ["'context'", "lambda row: row['context']", "lambda row: {'a': 1.0, 'b': 2.0}[row['context']]"]
)
def test_a_recipe_says_which_questions_belong_together(
    cluster: str, adder: ScriptedTeacher, write_task: WriteTask, tmp_path: Path
):
    rows = [row | {"context": "ab"[at % 2]} for at, row in enumerate(sums(range(3)))]
    domain = tmp_path / "sums.py"
    domain.write_text(DOMAIN.format(test=str(write_task(rows)), score=f"None, cluster={cluster}"))
    found = run([adder.url], domain, tmp_path / "out")
    assert found.content["tasks"]["sums"]["clusters"] == 2
    assert found.questions["cluster"].n_unique() == 2


@pytest.mark.parametrize(
    ("cluster", "sentence"),
    [
        ("'contxt'", "did you mean context"),
        ("lambda row: row['nothing']", "the recipe's cluster"),
        ("lambda row: [1]", r"is \[1\]: give a text or a number"),
    ],
)
def test_a_cluster_that_is_none_is_refused(
    cluster: str, sentence: str, adder: ScriptedTeacher, write_task: WriteTask, tmp_path: Path
):
    domain = tmp_path / "sums.py"
    domain.write_text(DOMAIN.format(test=str(write_task()), score=f"None, cluster={cluster}"))
    with pytest.raises(UserError, match=sentence):
        run([adder.url], domain, tmp_path / "out")
    assert asked(adder) == 0


def test_what_is_cut_off_or_says_nothing_stands_in_a_column_of_its_own(write_task: WriteTask, tmp_path: Path):
    with ScriptedTeacher(answer=right_answer, faults=Faults(truncated=0.5)) as teacher:
        (line,) = run([teacher.url], write_task(), tmp_path / "out", questions=40).scores.rows(named=True)
    assert 0.2 < line["cut_off"] < 0.8
    assert line["right"] + line["cut_off"] <= 1
    assert line["n"] == 40


def test_a_lone_student_is_compared_with_its_base(toy: Toy, write_task: WriteTask, tmp_path: Path):
    found = run([toy.student], write_task(), tmp_path / "out", max_tokens=4)
    assert found.scores["arm"].to_list() == ["base", str(toy.student)]
    assert found.scores["kind"].to_list() == ["base", "student"]
    assert "these students, not yet these recipes" in found.verdicts[0]


def test_a_base_with_the_brief_is_asked_as_the_teacher_is(
    toy: Toy, write_task: WriteTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from tunixhack.evaluate import students

    put: dict[str, str] = {}

    def reply(student: Any, questions: Sequence[Any], **options: Any) -> list[Any]:
        for messages in questions:
            put[messages[-1]["content"]] = messages[0]["content"]
        return [students.StudentReply(right_answer(messages, None), 20, True) for messages in questions]

    monkeypatch.setattr(students, "generate", reply)
    arms = ["base", "base+brief", f"{toy.base}+brief", toy.student]
    with pytest.raises(UserError, match="the same weights, asked the same way"):
        run(arms, write_task(), tmp_path / "out")
    del arms[2]
    run(arms[:1] + arms[2:], write_task(), tmp_path / "out")
    assert all(system == user for user, system in put.items())  # asked with nothing but the question
    found = run(arms, write_task(), tmp_path / "out")
    assert all("<reasoning>" in system and system != user for user, system in put.items())
    assert found.scores.filter(arm="base+brief").select("kind", "form_ok").row(0) == ("base", 1)
    assert found.content["arms"][1]["format"] == "written"
    identities = [arm["identity"] for arm in found.content["arms"]]
    assert len(set(identities)) == 3


def test_several_tasks_have_a_mean_beside_the_line_of_each(
    tunixhack: Command, adder: ScriptedTeacher, write_task: WriteTask, tmp_path: Path
):
    first, second = write_task(sums(range(3)), "one.jsonl"), write_task(sums(range(3, 6)), "two.jsonl")
    with ScriptedTeacher(answer=lambda messages, seed: "<reasoning>x</reasoning><answer>0</answer>") as wrong:
        arms = f"{wrong.url},{adder.url}"
        told = tunixhack("evaluate", arms, "--on", f"{first},{second}", "--out", tmp_path / "out")
    assert told.code == 0
    assert f"mean of the 2 tasks: {adder.url} 67 %" in told.out
    assert f"mean of the tasks: {adder.url} minus {wrong.url}: +66.7 points" in told.out
    assert f"one: {adder.url} minus {wrong.url}: +66.7 points" in told.out
    found = Evaluation.load(tmp_path / "out")
    assert [line["n"] for line in found.content["mean_scores"]] == [24, 24]
    assert found.content["mean_differences"][0]["verdict"] == "better"


def test_an_arm_that_fails_does_not_end_the_others(adder: ScriptedTeacher, write_task: WriteTask, tmp_path: Path):
    found = run([adder.url, "http://127.0.0.1:9/v1#x"], write_task(), tmp_path / "out")
    assert found.exit_code == 2
    assert found.scores["n"].to_list() == [12, 0]
    assert any("127.0.0.1:9" in note for note in found.notes)


def test_another_temperature_is_not_paid_for_unasked(adder: ScriptedTeacher, write_task: WriteTask, tmp_path: Path):
    run([adder.url], write_task(), tmp_path / "out")
    adder.reset()
    with pytest.raises(UserError, match="--ask-again"):
        run([adder.url], write_task(), tmp_path / "out", temperature=0.5)
    assert asked(adder) == 0
    found = run([adder.url], write_task(), tmp_path / "out", temperature=0.5, ask_again=True)
    assert (asked(adder), found.replies.height) == (12, 12)


def test_what_was_written_is_read_back(adder: ScriptedTeacher, write_task: WriteTask, tmp_path: Path):
    found = run([adder.url], write_task(), tmp_path / "out")
    assert Evaluation.load(tmp_path / "out").content == json.loads(json.dumps(found.content))
    assert (tmp_path / "out" / REPLIES).exists()
    assert (tmp_path / "out" / SCORES).exists()
    assert "<script" not in found._repr_html_()


def test_what_a_model_writes_has_no_effect(write_task: WriteTask, tmp_path: Path):
    said = f"<reasoning>{hostile.ALL}</reasoning><answer>\ud800 {hostile.ALL} 20</answer>"
    with ScriptedTeacher(answer=lambda messages, seed: said) as teacher:
        found = run([teacher.url], write_task(), tmp_path / "out")
    assert found.replies.height == 12
    assert not hostile.obeyed(repr(found) + found._repr_html_() + "".join([*found.verdicts, *found.notes]))


def test_a_scorer_that_raises_leaves_a_reply_unread_and_says_why(
    adder: ScriptedTeacher, write_task: WriteTask, tmp_path: Path
):
    domain = tmp_path / "sums.py"
    scorer = "lambda row: row['reference'] == row['answer'] or 1 / 0"
    domain.write_text(DOMAIN.format(test=str(write_task()), score=scorer))
    found = run([adder.url], domain, tmp_path / "out")
    assert found.scores["unread"].to_list() == [1]
    assert found.scores["right"].to_list() == [0]
    assert found.replies["why"].unique().to_list() == ["the scorer raised ZeroDivisionError: division by zero"]


# the command line, and what it refuses


def test_the_command_prints_a_table_and_json(
    tunixhack: Command, adder: ScriptedTeacher, write_task: WriteTask, tmp_path: Path
):
    arguments = ("evaluate", adder.url, "--on", write_task(), "--questions", "10", "--out", tmp_path / "out")
    done = tunixhack(*arguments)
    assert done.code == 0
    assert "right" in done.out
    assert "cut off" in done.out
    assert tunixhack(*arguments, "--json").json["scores"][0]["n"] == 10


def test_a_plan_says_what_it_takes_and_asks_nothing(
    tunixhack: Command, toy: Toy, adder: ScriptedTeacher, write_task: WriteTask, batches: list[int], tmp_path: Path
):
    arguments = ("evaluate", f"base,{toy.student},{adder.url}", "--on", write_task(), "--out", tmp_path / "out")
    told = tunixhack(*arguments, "--questions", "12", "--max-tokens", "4", "--plan")
    assert told.code == 0
    assert "base: 12 replies to ask, time unknown before some replies were timed, $0.00" in told.out
    assert f"{adder.url}: 12 replies to ask, time unknown before some replies were timed, price unknown" in told.out
    assert "of such comparisons tell" in told.out
    assert (batches, asked(adder)) == ([], 0)
    assert not (tmp_path / "out").exists()
    tunixhack(*arguments, "--questions", "12", "--max-tokens", "4")
    planned = tunixhack(*arguments, "--questions", "20", "--max-tokens", "4", "--plan", "--json").json
    assert [(arm["stored"], arm["missing"]) for arm in planned["arms"]] == [(12, 8)] * 3
    assert planned["arms"][0]["hours"] is not None
    assert planned["tasks"][0]["pilot"]


def test_a_teacher_whose_replies_stand_in_several_files_is_known(
    write_task: WriteTask, adder: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run_tables, "MOST_BYTES", 2000)
    monkeypatch.setattr(run_tables, "ROW_GROUP_BYTES", 1000)
    task, out = write_task(), tmp_path / "out"
    found = run([adder.url], task, out)
    (folder,) = {path.parent for path in out.rglob("train-*.parquet")}
    assert len(table_files(folder, "train")) > 1
    assert found.replies.height == 12
    planned = plan([adder.url], str(task), out=out, questions=20, report=QUIET).as_dict()
    assert [(arm["stored"], arm["missing"]) for arm in planned["arms"]] == [(12, 8)]


def test_an_evaluation_says_its_plan_before_it_asks_and_the_time_that_is_left_then(
    toy: Toy, write_task: WriteTask, batches: list[int], tmp_path: Path
):
    heard = io.StringIO()
    options = {"questions": 12, "max_tokens": 4, "report": Reporter(stream=heard)}
    evaluate(["base", toy.student], str(write_task()), out=tmp_path / "one", **options)
    lines = heard.getvalue().splitlines()
    (first,) = [at for at, line in enumerate(lines) if line.startswith("sums: 12 questions × 1 reply; 80 %")]
    assert "base: 12 replies to ask, time unknown" in lines[first + 1]
    begun = next(at for at, line in enumerate(lines) if "sums, 1 of 2: base" in line)
    assert first < begun
    told = [line for line in lines if "base: 4 of 12 replies, " in line]
    assert told
    assert told[0].endswith(" left")
    heard.truncate(0)
    evaluate(["base", toy.student], str(write_task()), out=tmp_path / "one", **options)
    assert "to ask" not in heard.getvalue()
    heard.truncate(0)  # another folder that lends knows how long replies take
    more = options | {"questions": 16, "reuse": tmp_path / "one"}
    evaluate(["base", toy.student], str(write_task()), out=tmp_path / "two", **more)
    assert "base: 4 replies to ask (12 are stored), about" in heard.getvalue()


def test_files_that_are_damaged_are_made_anew(
    toy: Toy, adder: ScriptedTeacher, write_task: WriteTask, batches: list[int], tmp_path: Path
):
    task, arms, options = write_task(), [adder.url, toy.base], {"questions": 6, "max_tokens": 4}
    whole = tables(run(arms, task, tmp_path / "out", **options))
    batches.clear()
    adder.reset()
    for pattern in ("scores.parquet", "sums/*/train.parquet", "sums/*/answers/000000.parquet"):
        for path in (tmp_path / "out").glob(pattern):
            path.write_bytes(b"no parquet")
    assert tables(run(arms, task, tmp_path / "out", **options)) == whole
    assert sum(batches) == 4  # of one batch, whose file was damaged


@pytest.mark.parametrize(
    ("arms", "options", "sentence"),
    [
        ("local,local", {}, "local is named twice"),
        ("http://me:secret@h:1/v1,http://h:1/v1", {}, "http://h:1/v1 is named twice"),
        ("base", {}, "none is named"),
        (",", {}, "no arm is named"),
        ("nothing-like-it", {}, "nothing-like-it"),
        ("local,reference", {}, "reference is no model"),
        ("./nothing", {}, "there is no folder or file ./nothing"),
        ("local+brief", {}, "local+brief: +brief is for bases"),
        ("base+brief", {}, "none is named"),
        ("local", {"samples": 3}, "3 times the same reply"),
        ("local", {"shard": "9/8"}, "--shard 9/8"),
        ("local", {"questions": 0}, "questions=0"),
        ("local", {"temperature": -1.0}, "temperature=-1.0"),
        ("local", {"reuse": "not-there"}, "no folder not-there"),
        ("local", {"on": "creative"}, "has no test questions"),
        ("local", {"on": ""}, "--on names no task"),
        ("local", {"on": "creativ"}, "did you mean creative"),
    ],
)
def test_bad_input_is_one_sentence(
    arms: str, options: dict[str, Any], sentence: str, write_task: WriteTask, tmp_path: Path
):
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    with pytest.raises(UserError, match=re.escape(sentence)):
        evaluate(arms, **{"on": str(write_task()), "out": tmp_path / "out", "report": QUIET} | options)
    assert not (tmp_path / "out").exists()


def test_questions_without_known_answers_are_no_task(adder: ScriptedTeacher, write_task: WriteTask, tmp_path: Path):
    with pytest.raises(UserError, match="10 of 10 have no reference"):
        run([adder.url], write_task([{"question": f"Why {n}?"} for n in range(10)]), tmp_path / "out")


def test_a_folder_belongs_to_one_source(adder: ScriptedTeacher, write_task: WriteTask, tmp_path: Path):
    run([adder.url], write_task(), tmp_path / "out")
    elsewhere = tmp_path / "more"
    elsewhere.mkdir()
    other = write_task(name="more/sums.jsonl")
    with pytest.raises(UserError, match="from another source"):
        run([adder.url], other, tmp_path / "out")


def test_a_folder_without_a_checkpoint_is_named(toy: Toy, write_task: WriteTask, tmp_path: Path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "student.json").write_text((toy.student / "student.json").read_text())
    with pytest.raises(UserError, match=r"has no checkpoint yet"):
        run([empty], write_task(), tmp_path / "out")
    with pytest.raises(UserError, match="the same weights"):
        run(["base", toy.base, toy.student], write_task(), tmp_path / "out")


def test_the_names_of_the_package_are_its_functions_whatever_was_imported_before():
    importlib.import_module("tunixhack.evaluate.planning")
    importlib.import_module("tunixhack.evaluate.runner")
    room = importlib.import_module("tunixhack.evaluate")
    assert [callable(getattr(room, name)) for name in room.__all__] == [True] * len(room.__all__)


@pytest.mark.parametrize("domain", ["math", "science", "gym"])
def test_domains_with_known_answers_have_test_questions(domain: str):
    assert find(domain).test is not None
