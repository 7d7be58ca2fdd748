"""Decontamination: copies of benchmark questions are found in every disguise, and no others."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builds import asked, build, small_recipe, write_questions
from tests.hub import Hub
from tests.other_process import OtherProcess
from tunixhack import Context, Decontaminate, Sample, Verdict
from tunixhack._util.files import file_digest
from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.steps import benchmark_index
from tunixhack.steps.base import judge
from tunixhack.steps.benchmark_index import BenchmarkIndex, Match
from tunixhack.steps.benchmarks import Benchmark
from tunixhack.steps.parse import Parse
from tunixhack.steps.request import Request
from tunixhack.testing import ScriptedTeacher, toy_questions

SHORT = "How many moles of salt weigh 117 grams?"
MIDDLE = (
    "A ferry leaves the harbour at 9 in the morning and needs 45 minutes to reach the island. How long does a round "
    "trip take?"
)
LONG = (
    "Marta keeps 14 beehives behind her barn and harvests 12 kilograms of honey from each of them in a good summer. "
    "She gives three jars of half a kilogram to every one of her 8 neighbours, keeps 20 kilograms for the winter, and "
    "sells what is left at the village market for 9 dollars a kilogram. How much money does she earn with her honey?"
)
BENCHMARK = (SHORT, MIDDLE, LONG)
OTHER_NUMBERS = {
    SHORT: "How many moles of salt weigh 234.5 grams?",
    MIDDLE: MIDDLE.replace("9", "11").replace("45", "twenty"),
    LONG: LONG.replace("14", "1,400").replace("12", "7").replace("three", "5").replace("8", "nine").replace("20", "3"),
}
EDITED = {
    SHORT: "How many moles of sugar weigh 117 grams?",
    MIDDLE: MIDDLE.replace("ferry", "boat").replace("harbour", "port").replace("needs", "takes").replace("trip", "way"),
    LONG: (
        "Marta keeps 14 beehives behind her shed and harvests 12 kilograms of honey out of each of them in a good "
        "summer. She hands three jars of half a kilogram to every one of the 8 neighbours, keeps 20 kilograms for the "
        "cold winter, and sells what is left at the weekly market for 9 dollars a kilogram. How much does she earn?"
    ),
}
UNRELATED = (
    "How many moles dig in the garden of the old castle?",
    "A ferry is painted white and red. Which colours do you see first in the morning, and why?",
    "Marta likes honey. Write a story about what she finds in her barn on the first day of summer.",
    "What is the boiling point of water at sea level?",
    "Explain how a round trip differs from a one-way trip, and name an example of each.",
)


def match(question: str, benchmark: Sequence[str] = BENCHMARK) -> Match | None:
    return BenchmarkIndex(benchmark, 75.0).find([question])[0]


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    return write_questions(tmp_path / "benchmark.jsonl", [{"question": text} for text in BENCHMARK])


def judged(against: str | Path, *questions: str, context: str | None = None) -> Verdict:
    table = pl.DataFrame({"question": questions, "context": pl.Series([context] * len(questions), dtype=pl.String)})
    return Decontaminate(against=(str(against),))(table, Context())


@pytest.mark.parametrize("question", BENCHMARK)
@pytest.mark.parametrize(
    "wrap",
    [
        "{}",
        "  {}\n",
        "Question 12: {}\nAnswer:",
        "### Problem\n\n**{}**",
        "<question>{}</question>",
        "<|im_start|>user\n{}<|im_end|>",
        "{} Please reason step by step, and put your final answer within \\boxed{{}}.",
        "Return your final response within \\boxed{{}}. {}",
        "\u200b{}\u00ad",
        "> *{}*",
    ],
)
def test_a_copy_is_found_in_every_wrapper(question: str, wrap: str):
    for text in (question, question.upper(), question.replace(" ", "\u00a0 ")):
        found = match(wrap.format(text))
        assert found is not None
        assert (BENCHMARK[found.question], found.rule) == (question, "exact")


@pytest.mark.parametrize("question", BENCHMARK)
@pytest.mark.parametrize(
    "around",
    [
        "Please solve this exercise, which a pupil found hard last week. {} Explain your way to the solution.",
        "{}\nA) 2\nB) 4\nC) 8\nD) none of them",
        "I am stuck. My teacher asks: “{}” What would you say? I have thought about it all day, without success.",
    ],
)
def test_a_copy_is_found_within_another_text(question: str, around: str):
    found = match(around.format(question))
    assert found is not None
    assert BENCHMARK[found.question] == question


@pytest.mark.parametrize("question", BENCHMARK)
def test_an_edited_copy_is_found(question: str):
    found = match(EDITED[question])
    assert found is not None
    assert (BENCHMARK[found.question], found.rule) == (question, "similar")
    assert found.similarity is not None
    assert 75 <= found.similarity < 100


@pytest.mark.parametrize("question", BENCHMARK)
@pytest.mark.parametrize("around", ["{}", "Solve the following without a calculator, and be brief: {} Thank you."])
def test_a_copy_with_other_numbers_is_found(question: str, around: str):
    found = match(around.format(OTHER_NUMBERS[question]))
    assert found is not None
    assert BENCHMARK[found.question] == question


def test_numbers_that_differ_are_told_by_the_rule():
    found = match(f"Tell me in one sentence, as if I were five: {OTHER_NUMBERS[SHORT]}")
    assert found is not None
    assert (found.rule, found.text) == ("ngram_numbers_masked", "how many moles of salt weigh # grams")


def test_an_edited_copy_with_other_numbers_is_found():
    one = "Add 471,111 and 815,222 and 993,433, then take 220,844 and 117,555 away from the sum of all."
    other = "Add 1 and 2 and 3, then take 4 and 5 off the sum of all."
    found = match(other, [one])
    assert found is not None
    assert found.rule == "similar_numbers_masked"


@pytest.mark.parametrize("question", UNRELATED)
def test_unrelated_questions_are_kept(question: str):
    assert match(question) is None


def test_thirteen_words_in_a_row_are_enough_and_twelve_are_not():
    words = LONG.replace(",", "").split()
    noise = "red blue green yellow orange purple black white brown grey pink".split()  # noqa: SIM905
    for start in (0, 9, len(words) - 13):
        run = words[start : start + 13]
        found = match(" ".join([*noise, *run, *noise]))
        assert found is not None
        assert found.rule == "ngram"
        assert match(" ".join([*noise, *run[:12], *noise])) is None


def test_a_run_of_words_does_not_go_over_the_end_of_a_question():
    runs = benchmark_index._runs_of([("a", "b", "c"), (), ("d",), ("e", "f")], 2, 3)
    assert runs[2].select("text", "start").rows() == [(0, 0), (0, 1), (3, 0)]
    assert runs[3].select("text", "start").rows() == [(0, 0)]
    words = MIDDLE.split()
    assert BenchmarkIndex([LONG, MIDDLE], 75.0).find([" ".join(words[:9]), " ".join(words[9:18])]) == [None, None]


@pytest.mark.parametrize(
    ("short", "copy", "found"),
    [
        ("What rusts?", "**What rusts?**", True),
        ("What rusts?", "Question: what rusts?\nOptions:\nA) iron\nB) gold", True),
        ("What rusts?", "What rusts first, iron or steel?", False),
        ("What is 1+1?", "What is $1 + 1$?", True),
        ("What is 1+1?", "What is 1 - 1?", False),
        ("What is 1+1?", "What is 1+2?", False),
        ("∂f/∂x", "∂f/∂y", False),
        ("?!", "?!", True),
        ("**", "**", True),
        ("**", "", False),
        ("法国的首都是哪里", "请回答。法国的首都是哪里。谢谢", True),
        ("法国的首都是哪里", "西班牙的面积有多大", False),
    ],
)
def test_very_short_benchmark_questions_are_found_by_being_equal(short: str, copy: str, found: bool):
    assert (match(copy, [short]) is not None) is found


def test_options_do_not_make_questions_with_a_short_stem_alike():
    one = "Which of these is right?\n(A) Iron rusts in wet air. (B) Gold rusts in wet air."
    other = "Which of these is right?\n(A) Whales are fish. (B) Bats are birds."
    assert match(one, [one]) is not None
    assert match(other, [one]) is None


PHRASE = "You are given a list of the numbers that a machine has printed, one on each of its lines, and a limit."
ENDS = ("Count those below it.", "Return its median element.", "Does any number appear twice?")


def test_a_phrase_of_many_benchmark_questions_rejects_nothing_by_itself():
    many = [f"{PHRASE} {end}" for end in ENDS]
    new = f"{PHRASE} Draw a bar chart in which every bar is as high as its number, and write the largest in red."
    assert match(new, many) is None
    assert match(new, many[:2]) is not None
    for question in many:
        found = match(question.replace("machine", "printer"), many)
        assert found is not None
        assert many[found.question] == question


def test_a_question_that_several_benchmarks_have_is_no_phrase():
    found = match(f"First think. {LONG} Then answer.", [LONG] * 5)
    assert found is not None
    assert found.question == 0


def test_templates_with_other_words_are_kept_beside_a_benchmark_of_the_same_template():
    benchmark = [row["question"] for row in toy_questions(7 * 11 * 13)]
    held_out = [text.replace("about", "who forgets") for text in benchmark[:1]]
    other = ["Write a letter from a dentist about broken promises.", "Write a scene from a spy about lost umbrellas."]
    index = BenchmarkIndex(benchmark, 75.0)
    assert all(index.find(benchmark))
    assert index.find(other) == [None, None]
    assert index.find(held_out)[0] is not None


def test_equal_hashes_are_no_equal_words(monkeypatch: pytest.MonkeyPatch):
    real = benchmark_index._runs_of

    def colliding(*arguments: Any) -> dict[int, pl.DataFrame]:
        return {n: runs.with_columns(key=pl.lit(7, dtype=pl.UInt64)) for n, runs in real(*arguments).items()}

    monkeypatch.setattr(benchmark_index, "_runs_of", colliding)
    index = BenchmarkIndex([SHORT], 75.0)
    assert index.find([UNRELATED[0], f"I ask: {SHORT}"]) == [
        None,
        Match(0, "ngram", text="how many moles of salt weigh 117 grams"),
    ]


WORDS = st.lists(st.text("abcdeé1,.?\\*(_ü漢", min_size=1, max_size=6), min_size=1, max_size=30).map(" ".join)
TEXTS = st.one_of(WORDS, st.text(min_size=1, max_size=60).filter(str.strip))


@settings(max_examples=60)
@given(st.lists(TEXTS, min_size=1, max_size=6), st.data())
def test_a_verbatim_copy_is_always_found(texts: list[str], data: st.DataObject):
    assert match(data.draw(st.sampled_from(texts)), texts) is not None


@settings(max_examples=40)
@given(st.lists(TEXTS, min_size=1, max_size=5), st.lists(TEXTS, max_size=8), st.randoms(use_true_random=False))
def test_a_verdict_is_the_same_again_and_in_any_order(benchmark: list[str], texts: list[str], chance: random.Random):
    index = BenchmarkIndex(benchmark, 75.0)
    found = index.find([*texts, *benchmark])
    assert BenchmarkIndex(benchmark, 75.0).find([*texts, *benchmark]) == found
    rows = list(zip([*texts, *benchmark], found, strict=True))
    chance.shuffle(rows)
    assert index.find([text for text, _ in rows]) == [one for _, one in rows]


def test_the_evidence_of_a_file_has_its_name_row_rule_and_text(benchmark: Path):
    verdict = judged(benchmark, MIDDLE, f"Now then. {SHORT}", EDITED[LONG], UNRELATED[0])
    assert verdict.keep.to_list() == [False, False, False, True]
    assert verdict.reason == "in_benchmark"
    assert verdict.evidence is not None
    same, within, like, none = verdict.evidence
    assert same == {"benchmark": "benchmark.jsonl", "row": 1, "rule": "exact", "text": MIDDLE}
    text = "how many moles of salt weigh 117 grams"
    assert within == {"benchmark": "benchmark.jsonl", "row": 0, "rule": "ngram", "text": text}
    assert like is not None
    assert (like["row"], like["rule"], like["text"]) == (2, "similar", LONG)
    assert none is None
    assert verdict.note == "compared with 3 of benchmark.jsonl"


def test_a_benchmark_question_is_found_in_the_context_and_across_it(benchmark: Path):
    assert not judged(benchmark, "Rewrite this.", context=LONG).keep[0]
    first, _, rest = LONG.partition(". ")
    assert not judged(benchmark, f"{first}.", context=rest).keep[0]
    assert not judged(benchmark, SHORT, context="Salt is sodium chloride.").keep[0]
    assert judged(benchmark, "Rewrite this.", context=UNRELATED[2]).keep[0]


def test_a_table_with_nothing_but_questions_will_do(benchmark: Path):
    rows = pl.DataFrame({"question": [SHORT, None, "Why?"]})
    step = Decontaminate(against=(str(benchmark),))
    assert judge(step, rows, step(rows, Context())).kept["question"].to_list() == [None, "Why?"]
    assert step(rows.clear(), Context()).keep.to_list() == []


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_files_of_all_kinds_are_read_by_the_column_that_is_named(tmp_path: Path, ending: str):
    file = tmp_path / f"tests.{ending}"
    table = pl.DataFrame({"id": [7, 8], "prompt": [None, SHORT]})
    getattr(table, {"csv": "write_csv", "parquet": "write_parquet", "jsonl": "write_ndjson"}[ending])(file)
    verdict = judged(f"{file}:prompt", SHORT)
    assert verdict.evidence is not None
    assert verdict.evidence[0] == {"benchmark": file.name, "row": 1, "rule": "exact", "text": SHORT}
    with pytest.raises(UserError, match=r"has no column question: it has id, prompt; name the one .* FILE:column"):
        judged(file, SHORT)
    with pytest.raises(UserError, match=r"has no column text"):
        judged(f"{file}:text", SHORT)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"question": ["a", "b"]}', r"row 0 \(from 0\): the column question holds lists, not text"),
        ('{"question": " "}', "has no question in its column question"),
        ("", "has no question in its column question"),
        ("{", "line 1"),
    ],
)
def test_a_file_without_questions_is_a_sentence_that_offers_to_leave_it_out(tmp_path: Path, content: str, says: str):
    file = tmp_path / "tests.jsonl"
    file.write_text(content)
    with pytest.raises(UserError, match=rf"benchmark tests\.jsonl: .*take it out of .*{says}"):
        judged(file, SHORT)


def test_a_file_that_is_not_there_is_never_skipped(tmp_path: Path, benchmark: Path):
    step = Decontaminate(against=(str(benchmark), str(tmp_path / "none.jsonl")))
    with pytest.raises(UserError, match=r"take it out of .*there is no file .*none\.jsonl"):
        step(pl.DataFrame({"question": [UNRELATED[0]]}), Context())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"against": ()}, "nothing to compare with: name the benchmarks"),
        ({"against": "tests.jsonl"}, "as a tuple"),
        ({"against": (7,)}, "as a tuple"),
        ({"against": ("tests",)}, "'tests' is no benchmark"),
        ({"against": ("https://example.org/tests",)}, "is no benchmark"),
        ({"against": ("a/b:c:d:e:f",)}, "is no benchmark"),
        ({"against": ("tests.jsonl",), "similarity": 0}, "a number above 0"),
        ({"against": ("tests.jsonl",), "similarity": float("nan")}, "a number above 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_the_step_is_made(arguments: dict[str, Any], says: str):
    with pytest.raises(UserError, match=says):
        Decontaminate(**arguments)


@pytest.mark.parametrize(
    ("spec", "place", "config", "split", "column"),
    [
        ("a/b", "a/b", None, "test", "question"),
        ("a/b:main", "a/b", "main", "test", "question"),
        ("a/b:main:train", "a/b", "main", "train", "question"),
        ("a/b:::problem", "a/b", None, "test", "problem"),
        ("./t.jsonl", "./t.jsonl", None, None, "question"),
        ("./t.jsonl.gz:my column", "./t.jsonl.gz", None, None, "my column"),
        ("~/x/t.parquet:a:b", "~/x/t.parquet", None, None, "a:b"),
        ("C:\\x\\t.csv:problem", "C:\\x\\t.csv", None, None, "problem"),
    ],
)
def test_a_benchmark_is_spelt(spec: str, place: str, config: str | None, split: str | None, column: str):
    assert Benchmark.named(spec) == Benchmark(place, config, split, column)


def test_a_build_rejects_before_anything_is_paid(teacher: ScriptedTeacher, tmp_path: Path):
    rows = toy_questions(12)
    source = write_questions(tmp_path / "questions.jsonl", [*rows, {"question": EDITED[LONG]}, {"question": MIDDLE}])
    benchmark = write_questions(tmp_path / "tests.jsonl", [{"question": text} for text in (LONG, MIDDLE)])
    steps = (Decontaminate(against=(str(benchmark),)), Sample(), Parse())
    run = build(small_recipe(source, steps=steps, samples=2), teacher, tmp_path / "run", questions=12)
    rejected = run.rejected.filter(step="decontaminate").sort("source_row")
    assert rejected["question"].to_list() == [EDITED[LONG], MIDDLE]
    assert rejected["reason"].to_list() == ["in_benchmark"] * 2
    evidence = [json.loads(one) for one in rejected["evidence"]]
    assert [(one["benchmark"], one["row"], one["rule"]) for one in evidence] == [
        ("tests.jsonl", 0, "similar"),
        ("tests.jsonl", 1, "exact"),
    ]
    assert str(tmp_path) not in "".join(rejected["evidence"])
    assert asked(teacher) == 24
    (line,) = [line for line in run.state()["funnel"] if line["step"] == "decontaminate"]
    told = {"benchmark": "tests.jsonl", "commit": None, "sha256": file_digest(benchmark), "questions": 2}
    assert (line["details"], line["rejected"]) == ({"benchmarks": [told]}, 2)
    card = (run.folder / "README.md").read_text()
    assert f"compared with tests.jsonl at {told['sha256'][:12]}; 2 of 14 questions removed" in card
    assert set(run.train["question"]) == {row["question"] for row in rows}


def test_a_folder_that_was_begun_without_benchmarks_goes_on_without_and_says_so(
    teacher: ScriptedTeacher, source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    steps = (Sample(), Parse())
    build(small_recipe(source, steps=steps), teacher, tmp_path / "run", questions=4)
    paid = asked(teacher)
    recipe = small_recipe(source, steps=(Decontaminate(against=("gsm8k", "aime24")), *steps))
    for _ in range(2):  # the first writes down how it went on
        run = build(recipe, teacher, tmp_path / "run", questions=4, report=Reporter())
        told = "goes on so; --against default compares its questions with gsm8k, aime24"
        assert told in " ".join(capfd.readouterr().err.split())
        assert "compared with none" in (run.folder / "README.md").read_text()
    assert asked(teacher) == paid
    benchmark = write_questions(tmp_path / "tests.jsonl", [{"question": LONG}])
    run = build(recipe.replace(against=str(benchmark)), teacher, tmp_path / "run", questions=4)
    assert "decontaminate" in run.funnel["step"].to_list()
    assert f"--against {benchmark}" in run.state()["command"]


def test_a_step_of_the_users_own_that_asks_before_it_is_stopped_before_it_is_paid(
    teacher: ScriptedTeacher, source: Path, benchmark: Path, tmp_path: Path
):
    def curious(rows: pl.DataFrame, ctx: Context) -> Verdict:
        messages = [{"role": "user", "content": "Is this a question?"}]
        ctx.ask([Request(row=row, messages=messages, samples=(0,)) for row in rows.iter_rows(named=True)])
        return Verdict(keep=pl.Series([True] * rows.height))

    steps = (curious, Decontaminate(against=(str(benchmark),)), Sample(), Parse())
    with pytest.raises(UserError, match="step curious asks a teacher, and a Decontaminate stands behind it"):
        build(small_recipe(source, steps=steps), teacher, tmp_path / "run")
    assert asked(teacher) == 0


def test_a_build_whose_benchmark_is_missing_asks_nothing(teacher: ScriptedTeacher, source: Path, tmp_path: Path):
    steps = (Decontaminate(against=(str(tmp_path / "none.jsonl"),)), Sample(), Parse())
    with pytest.raises(UserError, match="take it out of --against"):
        build(small_recipe(source, steps=steps), teacher, tmp_path / "run")
    assert asked(teacher) == 0


CARD = """---
configs:
- config_name: main
  data_files:
  - {split: test, path: main/test.jsonl}
---
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "main").mkdir()
    (folder / "README.md").write_text(CARD)
    (folder / "main" / "test.jsonl").write_text(json.dumps({"problem": SHORT}) + "\n")
    repos = {"user/open": folder, "user/gated": folder, "user/private": folder}
    member = {"hf_user": "user"}
    with Hub(
        repos, gated=frozenset({"user/gated"}), private={"user/private"}, tokens=member, accepted=frozenset({"user"})
    ) as server:
        yield server


def elsewhere(endpoint: str, home: Path, **environment: str) -> OtherProcess:
    """A process with another Hub: the Hub's libraries read where it is when they are imported."""
    home.mkdir(exist_ok=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    clean |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_TOKEN": "hf_user", "NO_PROXY": "127.0.0.1"}
    return OtherProcess(clean | environment, cwd=home)


def evidence_of(spec: str) -> dict[str, Any]:
    """Judge one copy; for other processes."""
    try:
        verdict = judged(spec, SHORT)
    except UserError as error:
        return {"error": str(error)}
    return {"evidence": verdict.evidence}


def test_the_text_of_a_hub_benchmark_is_shown_only_where_anybody_can_read_it(hub: Hub, tmp_path: Path):
    with elsewhere(hub.endpoint, tmp_path) as process:
        found = {
            name: process(evidence_of, f"user/{name}:main:test:problem")["evidence"][0]
            for name in ("open", "gated", "private")
        }
        error = process(evidence_of, "user/open:main:valid:problem")["error"]
        column = process(evidence_of, "user/open:main")["error"]
    assert found["open"] == {"benchmark": "user/open:main:test", "row": 0, "rule": "exact", "text": SHORT}
    assert found["gated"] == {"benchmark": "user/gated:main:test", "row": 0, "rule": "exact"}
    assert found["private"] == {"benchmark": "user/private:main:test", "row": 0, "rule": "exact"}
    assert (
        "to go on without it, take it out of --against or Decontaminate(against=…); dataset user/open has no" in error
    )
    assert "has no column question: it has problem; name the one with the questions, as ORG/NAME" in column
    with elsewhere(hub.endpoint, tmp_path, HF_HUB_OFFLINE="1") as process:
        cached = process(evidence_of, "user/open:main:test:problem")["evidence"][0]
    assert cached == {"benchmark": "user/open:main:test", "row": 0, "rule": "exact"}, "the cache does not tell"


def test_a_hub_that_is_not_there_is_a_sentence_that_offers_to_leave_the_benchmark_out(tmp_path: Path):
    with elsewhere("http://127.0.0.1:9", tmp_path) as process:
        error = process(evidence_of, "user/open:main")["error"]
    assert error.startswith(
        "no question was compared with the benchmark user/open:main:test: to go on without it, take"
    )
    assert "the Hub at 127.0.0.1:9 cannot be" in error


def test_a_known_benchmark_that_is_not_reached_offers_first_to_leave_it_out(tmp_path: Path):
    with elsewhere("http://127.0.0.1:9", tmp_path) as process:
        error = process(evidence_of, "aime24")["error"]
    assert error.startswith("no question was compared with the benchmark aime24: --against none goes on")


def kept_in(folder: str, spec: str) -> dict[str, Any]:
    """Judge one copy with a cache; for other processes."""
    said: list[str] = []
    rows = pl.DataFrame({"question": [SHORT]})
    step = Decontaminate(against=(spec,))
    try:
        verdict = step(rows, Context(cache=Path(folder), say=said.append))
    except UserError as error:
        return {"error": str(error)}
    return {"said": said, "evidence": verdict.evidence, "details": verdict.details}


@pytest.mark.parametrize("revision", ["", "commit"])
def test_a_hub_benchmark_is_read_once_and_is_there_without_the_hub(hub: Hub, tmp_path: Path, revision: str):
    commit = hub.commit("user/open")
    spec = "user/open:main:test:problem" + (f"@{commit}" if revision else "")
    with elsewhere(hub.endpoint, tmp_path) as process:
        first = process(kept_in, str(tmp_path / "cache"), spec)
        asked_before = len(hub.asked)
        assert process(kept_in, str(tmp_path / "cache"), spec) == first | {"said": []}
        assert len(hub.asked) == asked_before
    host = hub.endpoint.removeprefix("http://")
    assert first["said"] == [
        f"reading the benchmark user/open:main:test of {host}: its page does not tell how large it is"
    ]
    told = {"benchmark": "user/open:main:test", "commit": commit, "sha256": None, "questions": 1}
    assert first["details"] == {"benchmarks": [told]}
    with elsewhere(hub.endpoint, tmp_path / "empty", HF_HUB_OFFLINE="1") as process:
        assert process(kept_in, str(tmp_path / "cache"), spec) == first | {"said": []}
        assert "not in the cache" in process(kept_in, str(tmp_path / "other"), spec)["error"]


def test_a_cache_that_is_damaged_is_read_anew(hub: Hub, tmp_path: Path):
    with elsewhere(hub.endpoint, tmp_path) as process:
        first = process(kept_in, str(tmp_path / "cache"), "user/open:main:test:problem")
        (kept,) = (tmp_path / "cache").iterdir()
        kept.write_text('{"texts": [[0')
        again = process(kept_in, str(tmp_path / "cache"), "user/open:main:test:problem")
    assert again["said"], "it was read once more"
    assert again["details"] == first["details"]


def real(folder: Path, path: str, column: str) -> list[str]:
    lines = (folder / path).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)[column] for line in lines]


def test_real_questions_of_other_datasets_are_kept_and_planted_ones_found(shared_data: Path):
    train = real(shared_data, "gsm8k/train.jsonl", "question")
    test = real(shared_data, "gsm8k/test.jsonl", "question")
    code = real(shared_data, "mbpp/train.jsonl", "text")
    index = BenchmarkIndex([*test, *real(shared_data, "benchmarks/humaneval.jsonl", "prompt")], 75.0)
    assert not any(index.find([*train, *code])), "looked at by hand: none of them is in a test"
    assert all(index.find(test))
    assert all(index.find([f"Here is a task for you. {text} Think about it first." for text in test]))


def test_most_questions_of_one_template_are_kept(shared_data: Path):
    """Nine in ten questions of mbpp begin alike; those that are found differ in a word or two."""
    index = BenchmarkIndex(real(shared_data, "mbpp/test.jsonl", "text"), 75.0)
    found = index.find(real(shared_data, "mbpp/train.jsonl", "text"))
    assert 0 < sum(one is not None for one in found) <= 0.1 * len(found)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Which glacier feeds 12 lakes, 5?", "Which glacier feeds 7 lakes, 9?"),
        ("Why do magnets attract rusty nails?", "Why do magnets repel rusty nails?"),
    ],
)
def test_a_short_question_with_a_word_or_its_numbers_replaced_is_found(one: str, other: str):
    """None of these shares four words in a row with its copy."""
    found = match(other, [one, *BENCHMARK, *UNRELATED])
    assert found is not None
    assert (found.question, found.rule) == (0, "similar")


@pytest.mark.parametrize(
    ("against", "remedy"),
    [(("gsm8k",), "none"), (("gsm8k", "aime25", "my exam.jsonl"), "'aime25,my exam.jsonl'")],
)
def test_the_remedy_for_a_known_benchmark_keeps_the_others(
    against: tuple[str, ...], remedy: str, monkeypatch: pytest.MonkeyPatch
):
    def unreachable(*_: object) -> None:
        raise UserError("the Hub cannot be reached")

    monkeypatch.setattr("tunixhack.steps.benchmark_texts._of_hub", unreachable)
    with pytest.raises(UserError, match=f"benchmark gsm8k: --against {remedy} goes on without it; the Hub"):
        Decontaminate(against)(pl.DataFrame({"question": ["What?"]}), Context())
