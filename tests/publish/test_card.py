"""The card makes a run's folder a Hub dataset of its kept answers, in at most forty lines."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from tests import hostile
from tests.builds import build, small_recipe, write_questions
from tunixhack.domain_files import domains, find
from tunixhack.publish.card import MOST_LINES, KeptAnswers, card, publish_command
from tunixhack.publish.public_names import published_name
from tunixhack.recipes import math
from tunixhack.runs.run import Run
from tunixhack.sources.source import Source
from tunixhack.testing import Faults, ScriptedTeacher


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("card")
    with ScriptedTeacher(faults=Faults(truncated=0.2)) as teacher:
        return build(small_recipe(write_questions(folder / "questions.jsonl", 20)), teacher, folder / "run")


@pytest.fixture
def text(run: Run) -> str:
    return (run.folder / "README.md").read_text(encoding="utf-8")


def front_matter(text: str) -> dict[str, Any]:
    start, matter, _ = text.split("---\n", 2)
    assert start == ""
    read: dict[str, Any] = yaml.safe_load(matter)
    return read


def stage(step: str, **line: Any) -> dict[str, Any]:
    empty = {"kept": 1, "made": None, "rejected": 0, "set_aside": 0, "missing": 0, "reasons": {}, "note": None}
    unasked = {"prompt_tokens": None, "completion_tokens": None, "at_least": False, "cost": None}
    return {"step": step, "rows_in": 1, **empty, **unasked, **line}


def state(*funnel: dict[str, Any], **resolved: Any) -> dict[str, Any]:
    return {
        "tunixhack": "0",
        "domain": "toy",
        "recipe": {"trace": "written", "samples": 4, "student": None, "steps": []},
        "order": {"seed": 0},
        "teachers": {},
        "resolved": {"path": "user/name", "commit": "0123456789abcdef", "sha256": None, **resolved},
        "funnel": list(funnel),
    }


TOLD = {"prompt_tokens": 1000, "completion_tokens": 2000, "cost": 1.5}
NOTHING = KeptAnswers(answers=0, questions=0, teachers=frozenset())


def test_its_front_matter_names_the_kept_answers_alone(text: str):
    matter = front_matter(text)
    assert matter["configs"] == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "train.parquet"}]}
    ]
    assert matter["task_categories"] == ["text-generation"]
    assert matter["license"] == "unknown"


def test_the_folder_loads_as_a_dataset_of_the_kept_answers_without_the_hub(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import datasets

    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    loaded = datasets.load_dataset(str(run.folder), cache_dir=str(tmp_path))
    assert list(loaded) == ["train"]
    assert loaded["train"].to_list() == run.train.to_dicts()


def test_it_has_at_most_forty_lines_however_many_steps_and_reasons_there_are():
    reasons = {f"reason_{number}": number for number in range(50)}
    funnel = [stage(f"step_{number}", reasons=reasons) for number in range(100)]
    assert len(card(state(*funnel), NOTHING, Source("user/name")).splitlines()) <= MOST_LINES


def test_a_steps_own_words_cannot_break_the_table():
    written = card(state(stage("mine", reasons={"a|b\n\n# c": 3})), NOTHING, Source("user/name"))
    (line,) = [line for line in written.splitlines() if line.startswith("| mine")]
    assert line == r"| mine | 1 | 1 | a&#124;b \# c 3 |"


def test_whatever_others_call_themselves_is_text_in_the_card():
    model = hostile.ALL
    teacher = f"http://127.0.0.1:1/v1#{model}"
    told = state(stage(model, reasons={model: 1}), stage("budget", note=model), path=model)
    told |= {"domain": model, "tunixhack": model, "teachers": {teacher: {"model": model}}}
    train = KeptAnswers(answers=1, questions=1, teachers=frozenset({teacher}))
    written = card(told, train, Source("user/name", license=model))
    matter = front_matter(written)
    assert matter.keys() == {"license", "license_name", "task_categories", "tags", "configs"}
    assert matter["license"] == "other"
    assert re.fullmatch("[a-z0-9.+-]+", matter["license_name"])
    assert not hostile.obeyed(written)
    told = state(stage("x", reasons={"y": 1}), stage("budget", note="z"))
    plain = card(told, train, Source("user/name", license="ours"))
    assert len(written.splitlines()) == len(plain.splitlines())
    html = MarkdownIt("gfm-like", {"linkify": False}).render(written.split("---\n", 2)[2])
    assert not {"<script", "<img", "<a "} & set(re.findall(r"<\w+ ?", html))
    assert (html.count("<h1>"), html.count("<tr>"), html.count("<h2>")) == (1, 3, 0)


# a private address


PRIVATE = {
    "http://192.168.1.7:8000/v1#qwen3-32b": ("qwen3-32b", "openai-compatible/qwen3-32b"),
    "http://gpu-box:8000/v1": ("/home/jane/models/Qwen3-8B", "openai-compatible/Qwen3-8B"),
    "https://1b2c-8000.proxy.example.net/v1#Qwen/Qwen3-8B": ("Qwen/Qwen3-8B", "openai-compatible/Qwen/Qwen3-8B"),
    "https://api.openai.com/v1#gpt-4.1": ("gpt-4.1", "openai/gpt-4.1"),
    "local//home/jane/models/small.gguf": ("small", "local/small.gguf"),
    "llamacpp": ("/home/jane/models/small.gguf", "llamacpp"),
    "lmstudio/qwen3-14b": ("qwen3-14b", "lmstudio/qwen3-14b"),
    "openrouter/qwen/qwen3-14b": ("qwen/qwen3-14b", "openrouter/qwen/qwen3-14b"),
    "local": ("SmolLM2", "local"),
    "reference": ("reference", "reference"),
}


@pytest.mark.parametrize("teacher", PRIVATE)
def test_a_teacher_is_named_by_its_model_and_kind_and_never_by_an_address_or_path(teacher: str):
    model, public = PRIVATE[teacher]
    assert published_name(teacher, model) == published_name(public, model) == public
    told = state() | {"teachers": {teacher: {"model": model}}}
    written = card(told, KeptAnswers(answers=1, questions=1, teachers=frozenset({teacher})), Source("user/name"))
    assert f"- Teacher: {public}" in written
    for private in ("192.168", "gpu-box", "1b2c", "jane", "http"):
        assert private not in written


def test_the_rows_have_the_names_for_others_and_the_run_goes_on_by_its_own(run: Run):
    assert set(run.train["teacher"]) == set(run.rejected["teacher"].drop_nulls()) == {"openai-compatible/scripted"}
    (address,) = run.state()["teachers"]
    assert address.startswith("http://127.0.0.1:")
    assert set(run.store.answers()["teacher"]) == {address}


def test_of_a_student_that_is_a_folder_the_card_has_the_name():
    told = state(stage("budget", note="at most 768 tokens of /home/jane/students/tiny"))
    told["recipe"]["student"] = "/home/jane/students/tiny"
    assert "- Length: at most 768 tokens of tiny; over-long" in card(told, NOTHING, Source("user/name"))


def test_it_tells_rows_teacher_limit_and_every_step(run: Run, text: str):
    assert f"{run.train.height} answers to 6 questions" in text
    assert f"- Teacher: {run.train['teacher'][0]} (scripted); trace: written; samples a question: 4; seed 0" in text
    assert "- Length: at most 3,000 characters (--max-length); over-long answers are dropped, never cut" in text
    for line in run.state()["funnel"]:
        assert f"| {line['step']} | {line['rows_in']:,} | " in text
    truncated = run.rejected.filter(reason="truncated").height
    assert f"truncated {truncated}" in text


def test_missing_answers_and_candidates_that_were_not_needed_are_told():
    lines = (stage("rank", set_aside=1234), stage("sample", kept=9, made=9, missing=7))
    written = card(state(*lines), NOTHING, Source("user/name"))
    assert "1,234 not needed" in written
    assert "| sample | 1 | 9 | 7 not received |" in written


def test_the_licence_is_the_sources(tmp_path: Path):
    run = build(math.recipe.replace(source="shipped"), "reference", tmp_path / "run")
    assert front_matter((run.folder / "README.md").read_text(encoding="utf-8"))["license"] == "apache-2.0"
    assert front_matter(card(state(), NOTHING, math.recipe.source))["license"] == "mit"


@pytest.mark.parametrize("domain", [name for name in domains() if find(name).source.license])
def test_every_domains_licence_is_one_that_the_hub_knows(domain: str):
    source = find(domain).source
    written = card(state(), NOTHING, source)
    assert front_matter(written)["license"] == source.license
    assert "license_name" not in front_matter(written)
    assert f"; the licence is the source's: {source.license}\n" in written


def test_a_licence_that_the_hub_does_not_know_keeps_its_name():
    written = card(state(), NOTHING, Source("user/name", license="Community Terms (v2)"))
    assert front_matter(written)["license"] == "other"
    assert front_matter(written)["license_name"] == "community-terms-v2"
    assert "; the licence is the source's: Community Terms (v2)\n" in written


def test_a_hub_source_is_named_with_its_commit_and_a_file_without_its_folder(run: Run, text: str):
    assert "- Questions: user/name at 0123456789ab;" in card(state(), NOTHING, Source("user/name"))
    assert "- Questions: questions.jsonl at " in text
    assert str(run.folder.parent) not in text


def test_the_line_that_publishes_names_the_folder_and_leaves_the_name_to_the_user(tmp_path: Path):
    words = shlex.split(publish_command(tmp_path / "my run"))
    assert words == ["tunixhack", "push", str(tmp_path / "my run"), "USER/NAME"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([TOLD, TOLD], "2,000 tokens of prompts and 4,000 tokens of answers, for $3.00"),
        ([TOLD | {"cost": 0.0}], "1,000 tokens of prompts and 2,000 tokens of answers, for $0.00"),
        (
            [TOLD, TOLD | {"at_least": True}],
            "at least 2,000 tokens of prompts and at least 4,000 tokens of answers, for at least $3.00",
        ),
        (
            [TOLD, {"at_least": True}],
            "at least 1,000 tokens of prompts and at least 2,000 tokens of answers, at a price that is not known",
        ),
    ],
)
def test_it_says_what_was_received_over_all_starts_and_what_it_cost(lines: list[dict[str, Any]], said: str):
    text = card(state(*(stage(f"ask{at}", **line) for at, line in enumerate(lines))), NOTHING, Source(path="user/name"))
    assert f"- Received over all starts: {said}\n" in text


def test_where_nobody_was_asked_it_says_nothing_of_tokens():
    assert "tokens" not in card(state(stage("dedup")), NOTHING, Source(path="user/name"))


def test_it_says_how_many_answers_are_right_where_that_can_be_told():
    share = {"count": 3, "of": 4, "low": 0.3, "high": 0.95}
    right = {"received": share, "kept": share, "read_by": {"math-verify": 4}, "disputed": 0}
    source = Source("user/name")
    text = card(state(stage("sample")) | {"right": right}, NOTHING, source)
    assert "- Right by the reference: 3 of 4 answers received (75 %; 30 to 95 %)" in text
    assert "no answer is dropped for being wrong" in text
    verified = card(
        state(stage("sample")) | {"right": right | {"read_by": {"verify": 4}}}, NOTHING, Source("user/name")
    )
    assert "no answer is dropped" not in verified
    assert "Answers are not checked for being right" in card(state(stage("sample")), NOTHING, source)
