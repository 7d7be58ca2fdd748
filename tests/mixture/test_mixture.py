"""A mixture decides all parts' questions before anything is asked, and puts the rows of their runs together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import QUIET, asked, small_recipe, write_questions
from tests.commands import Command
from tunixhack import Mixture, Part, Recipe
from tunixhack._util.progress import Reporter
from tunixhack.errors import LimitReached, NearlyAllDropped, TeacherFailed, UserError
from tunixhack.pipeline import build as pipeline
from tunixhack.recipes import creative
from tunixhack.runs.run import Run
from tunixhack.sources.source import Source
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.decontaminate import Decontaminate
from tunixhack.steps.length_filter import LengthFilter
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

BOTH = ("train", "rejected", "questions")


def plain(source: Path, **changes: Any) -> Recipe:
    """The creative domain on a file, without a filter that asks."""
    return small_recipe(source, **({"samples": 2} | changes)).without(LengthFilter)


def mixture(*parts: Part, **fields: Any) -> Mixture:
    return Mixture(**({"name": "mixed", "parts": parts} | fields))


def build(mixed: Mixture, teacher: ScriptedTeacher, out: Path, **order: Any) -> Run:
    return mixed.build(teacher.url, out=out, **({"report": QUIET} | order))


def picks(run: Run, part: str) -> set[str]:
    questions = Run.load(run.folder / part).questions
    return set(questions.filter(pl.col("selected"))["question_id"])


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two files: the second has six questions of the first in other spacing and case."""
    first = write_questions(tmp_path / "first.jsonl", 20)
    again = [{"question": f"  {row['question'].upper()}"} for row in toy_questions(6)]
    own = [{"question": f"Tell of lamp {number}."} for number in range(14)]
    return first, write_questions(tmp_path / "second.jsonl", again + own)


def test_each_part_takes_its_quota_and_the_table_says_which_part_a_row_is_of(two: tuple[Path, Path], tmp_path: Path):
    mixed = mixture(Part(recipe=plain(two[0]), questions=5), Part(recipe=plain(two[1]), questions=3, name="other"))
    with ScriptedTeacher() as teacher:
        run = build(mixed, teacher, tmp_path / "run")
        assert asked(teacher) == (5 + 3) * 2
    assert dict(run.train.group_by("part").len().iter_rows()) == {"creative": 10, "other": 6}
    assert run.done
    assert run.dataset.num_rows == 16
    assert [line["step"] for line in run.state()["funnel"]] == ["creative", "other"]
    assert Run.load(tmp_path / "run" / "other").done
    # one report of all parts, and none of each
    assert [path.parent.name for path in (tmp_path / "run").rglob("report.html")] == ["run"]


def test_a_question_of_an_earlier_part_is_rejected_with_that_parts_name_and_id(two: tuple[Path, Path], tmp_path: Path):
    mixed = mixture(Part(recipe=plain(two[0]), questions=5), Part(recipe=plain(two[1]), questions=14, name="other"))
    with ScriptedTeacher() as teacher:
        run = build(mixed, teacher, tmp_path / "run")
    twins = run.rejected.filter(pl.col("reason") == "in_earlier_part")
    assert twins["part"].unique().to_list() == ["other"]
    assert twins.height == 6
    first = set(Run.load(run.folder / "creative").questions["question_id"])
    assert all(
        json.loads(one)["question_id"] in first and json.loads(one)["part"] == "creative" for one in twins["evidence"]
    )


def test_a_quota_that_cannot_be_filled_is_an_error_before_any_part_is_paid_for(two: tuple[Path, Path], tmp_path: Path):
    mixed = mixture(Part(recipe=plain(two[0]), questions=5), Part(recipe=plain(two[1]), questions=15, name="other"))
    with ScriptedTeacher() as teacher:
        with pytest.raises(
            UserError, match=r"part other.*15 questions.*gives 14 at most, without 6 questions of earlier"
        ):
            build(mixed, teacher, tmp_path / "run")
        assert asked(teacher) == 0
    assert not (tmp_path / "run").exists()


def test_the_length_filters_candidates_count_for_the_quota(two: tuple[Path, Path], tmp_path: Path):
    mixed = mixture(Part(recipe=small_recipe(two[0], samples=2), questions=11))
    with ScriptedTeacher() as teacher, pytest.raises(UserError, match=r"11 questions, and its source gives 10 at most"):
        build(mixed, teacher, tmp_path / "run")


def test_short_keep_takes_what_there_is_and_the_funnel_says_so(two: tuple[Path, Path], tmp_path: Path):
    mixed = mixture(Part(recipe=plain(two[0]), questions=50), short="keep")
    with ScriptedTeacher() as teacher:
        run = build(mixed, teacher, tmp_path / "run")
    assert run.train.height == 40
    assert "20 of 50 questions, which are all there are" in run.state()["funnel"][0]["note"]


def test_short_repeat_repeats_rows_until_the_quota_is_there(two: tuple[Path, Path], tmp_path: Path):
    mixed = mixture(
        Part(recipe=plain(two[0]), questions=50, short="repeat"), Part(recipe=plain(two[1]), questions=2, name="other")
    )
    with ScriptedTeacher() as teacher:
        run = build(mixed, teacher, tmp_path / "run")
        assert asked(teacher) == (20 + 2) * 2
    repeated = run.train.filter(pl.col("part") == "creative")
    assert repeated.height == 50 * 2
    times = repeated.group_by("question_id").len()["len"].to_list()
    assert sorted(set(times)) == [4, 6]
    assert run.train.filter(pl.col("part") == "other")["repeat"].to_list() == [0] * 4
    assert "repeated" in run.state()["funnel"][0]["note"]


def test_a_part_that_finds_all_of_its_questions_taken_is_left_out(two: tuple[Path, Path], tmp_path: Path):
    parts = Part(recipe=plain(two[0]), questions=5), Part(recipe=plain(two[0]), questions=5, name="again")
    with ScriptedTeacher() as teacher:
        run = build(mixture(*parts, short="keep"), teacher, tmp_path / "run")
    assert run.done
    assert set(run.train["part"]) == {"creative"}
    assert not (run.folder / "again").exists()
    told = run.state()["funnel"][1]
    assert (told["step"], told["rows_in"], told["rejected"], told["kept"]) == ("again", 20, 20, 0)
    assert run.rejected.filter(pl.col("part") == "again").height == 20, "no row disappears"


def test_a_part_that_is_left_out_now_leaves_no_rows_of_an_earlier_start(two: tuple[Path, Path], tmp_path: Path):
    first, second = Part(recipe=plain(two[0]), questions=5), Part(recipe=plain(two[0]), questions=5, name="again")
    with ScriptedTeacher() as teacher:
        build(mixture(first, second, short="keep"), teacher, tmp_path / "run")
        turned = build(mixture(second, first, short="keep"), teacher, tmp_path / "run")
    assert set(turned.train["part"]) == {"again"}
    assert [part["kept"] for part in turned.state()["parts"]] == [10, 0]


def test_a_part_at_the_end_leaves_the_others_questions_alone(two: tuple[Path, Path], tmp_path: Path):
    first, second = Part(recipe=plain(two[0]), questions=5), Part(recipe=plain(two[1]), questions=5, name="other")
    with ScriptedTeacher() as teacher:
        small = build(mixture(first), teacher, tmp_path / "small")
        large = build(mixture(first, second), teacher, tmp_path / "large")
        turned = build(mixture(second, first), teacher, tmp_path / "turned")
    assert picks(small, "creative") == picks(large, "creative")
    taken = Run.load(turned.folder / "creative").rejected.filter(pl.col("reason") == "in_earlier_part")
    assert taken.height == 6, "a part before it takes what both have, and nothing else"
    lost = picks(small, "creative") - picks(turned, "creative")
    assert lost <= set(taken["question_id"])


def test_where_takes_the_rows_of_a_category(tmp_path: Path):
    rows = [{"question": f"Name {n} things.", "category": "lists" if n % 2 else "other"} for n in range(10)]
    source = write_questions(tmp_path / "rows.jsonl", rows)
    recipe = plain(source).replace(columns={"category": "category"})
    mixed = mixture(
        Part(recipe=recipe, questions=5, where={"category": "lists"}),
        Part(recipe=recipe, questions=2, where=lambda row: row["category"] != "lists", name="rest"),
    )
    with ScriptedTeacher() as teacher:
        run = build(mixed, teacher, tmp_path / "run")
    assert set(run.train.filter(pl.col("part") == "creative")["category"]) == {"lists"}
    assert set(run.train.filter(pl.col("part") == "rest")["category"]) == {"other"}
    assert Run.load(run.folder / "creative").state()["funnel"][0]["set_aside"] == 5
    assert run.rejected.is_empty(), "a row of another category is no candidate, and not rejected"


def test_a_source_of_several_parts_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows = [{"question": f"Name {n} things.", "category": "lists" if n % 2 else "other"} for n in range(10)]
    recipe = plain(write_questions(tmp_path / "rows.jsonl", rows)).replace(columns={"category": "category"})
    parts = [Part(recipe=recipe, questions=2, where={"category": name}, name=name) for name in ("lists", "other")]
    read: list[str] = []
    load = Source.load
    monkeypatch.setattr(Source, "load", lambda source, domain: read.append(source.path) or load(source, domain))
    with ScriptedTeacher() as teacher:
        run = build(mixture(*parts), teacher, tmp_path / "run")
    assert len(read) == 1
    assert dict(run.train.group_by("part").len().iter_rows()) == {"lists": 4, "other": 4}


def test_quotas_in_kept_rows_go_on_until_so_many_are_kept(two: tuple[Path, Path], tmp_path: Path):
    mixed = mixture(Part(recipe=plain(two[0]), rows=20))
    with ScriptedTeacher(faults=Faults(truncated=0.3)) as teacher:
        run = build(mixed, teacher, tmp_path / "run", yes=True)
    assert run.train.height == 20


def test_shares_divide_a_number_that_the_build_names(two: tuple[Path, Path], tmp_path: Path):
    mixed = mixture(Part(recipe=plain(two[0]), share=0.75), Part(recipe=plain(two[1]), share=0.25, name="other"))
    with ScriptedTeacher() as teacher:
        run = build(mixed, teacher, tmp_path / "run", questions=8)
        assert (len(picks(run, "creative")), len(picks(run, "other"))) == (6, 2)
        by_rows = build(mixed, teacher, tmp_path / "rows", rows=16)
        assert (len(picks(by_rows, "creative")), len(picks(by_rows, "other"))) == (6, 2)
        with pytest.raises(UserError, match="say of how many"):
            build(mixed, teacher, tmp_path / "none")


def test_scale_multiplies_quotas_and_leaves_no_part_empty(two: tuple[Path, Path], tmp_path: Path):
    mixed = mixture(Part(recipe=plain(two[0]), questions=12), Part(recipe=plain(two[1]), questions=2, name="other"))
    with ScriptedTeacher() as teacher:
        run = build(mixed, teacher, tmp_path / "run", scale=0.25)
        assert (len(picks(run, "creative")), len(picks(run, "other"))) == (3, 1)
        whole = build(mixed, teacher, tmp_path / "run")
        assert picks(run, "creative") <= picks(whole, "creative"), "a scaled mixture is part of the whole"
        with pytest.raises(UserError, match="--scale"):
            build(mixed, teacher, tmp_path / "run", scale=0)


def test_the_same_command_asks_nothing_again_and_a_kill_loses_nothing(two: tuple[Path, Path], tmp_path: Path):
    mixed = mixture(Part(recipe=plain(two[0]), questions=5), Part(recipe=plain(two[1]), questions=5, name="other"))

    class Cut(Reporter):
        """Ends the build where the second part begins, as Ctrl-C would."""

        def say(self, sentence: str) -> None:
            if sentence.startswith("part other (2 of 2)"):
                raise KeyboardInterrupt

    with ScriptedTeacher() as teacher:
        whole = build(mixed, teacher, tmp_path / "whole")
        with pytest.raises(KeyboardInterrupt):
            build(mixed, teacher, tmp_path / "cut", report=Cut(quiet=True))
        cut = Run.load(tmp_path / "cut")
        assert not cut.done
        assert set(cut.train["part"]) == {"creative"}, "what there is can be used"
        assert "; 10 answers received;" in cut.status
        before = asked(teacher)
        build(mixed, teacher, tmp_path / "cut")
        assert asked(teacher) - before == 10, "the second part's answers alone"
        before = asked(teacher)
        again = build(mixed, teacher, tmp_path / "cut")
        assert asked(teacher) == before
    for name in BOTH:
        one, other = (getattr(run, name).drop("source_row") for run in (whole, again))
        assert one.equals(other), name


def test_a_change_that_is_refused_leaves_the_folder_as_it_was(two: tuple[Path, Path], tmp_path: Path):
    mixed = mixture(Part(recipe=plain(two[0]), questions=5))
    with ScriptedTeacher() as teacher:
        run = build(mixed, teacher, tmp_path / "run")
        before = (run.folder / "run.json").read_bytes()
        with pytest.raises(UserError, match="--ask-again"):
            build(mixed.replace(system="Say it otherwise."), teacher, tmp_path / "run")
        assert asked(teacher) == 10
    assert (run.folder / "run.json").read_bytes() == before
    assert run.done


def test_a_teacher_of_its_own_answers_a_part(two: tuple[Path, Path], tmp_path: Path):
    own = plain(two[1]).replace(solution=lambda row: ("Because.", "42"))
    mixed = mixture(
        Part(recipe=plain(two[0]), questions=3), Part(recipe=own, questions=4, teacher="reference", name="solved")
    )
    with ScriptedTeacher() as teacher:
        run = build(mixed, teacher, tmp_path / "run")
        assert asked(teacher) == 6
    assert set(run.train.filter(pl.col("part") == "solved")["answer"]) == {"42"}


def test_a_part_that_drops_nearly_everything_does_not_stop_the_others(two: tuple[Path, Path], tmp_path: Path):
    def nothing_good(rows: pl.DataFrame, ctx: Context) -> Verdict:
        return Verdict(keep=pl.repeat(False, rows.height, dtype=pl.Boolean, eager=True), reason="bad")

    many = write_questions(tmp_path / "many.jsonl", [{"question": f"Question {n}?"} for n in range(60)])
    bad = plain(many)
    bad = bad.replace(steps=(*bad.steps, nothing_good), samples=1)
    mixed = mixture(Part(recipe=bad, questions=60, name="bad"), Part(recipe=plain(two[0]), questions=3, name="good"))
    with ScriptedTeacher() as teacher, pytest.raises(NearlyAllDropped, match="part bad"):
        build(mixed, teacher, tmp_path / "run", yes=True)
    run = Run.load(tmp_path / "run")
    assert not run.done
    assert set(run.train["part"]) == {"good"}


def test_the_parts_behind_a_failure_are_built_until_two_in_a_row_fail(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    begun: list[str] = []
    whole = pipeline.build

    def failing(recipe: Any, options: Any, out: Path, report: Any) -> Run:
        begun.append(out.name)
        if out.name in ("p1", "p3", "p4"):
            raise TeacherFailed("3 answers were not received")
        return whole(recipe, options, out, report)

    monkeypatch.setattr(pipeline, "build", failing)
    lamps = [
        write_questions(tmp_path / f"{n}.jsonl", [{"question": f"Lamp {n}, {m}?"} for m in range(9)]) for n in range(6)
    ]
    parts = [Part(recipe=plain(lamps[n]), questions=1, name=f"p{n}") for n in range(6)]
    with ScriptedTeacher() as teacher, pytest.raises(TeacherFailed, match="part p1: 3 answers"):
        build(mixture(*parts), teacher, tmp_path / "run")
    assert begun == ["p0", "p1", "p2", "p3", "p4"], "two in a row, and no other is begun"
    run = Run.load(tmp_path / "run")
    assert not run.done
    assert set(run.train["part"]) == {"p0", "p2"}


def test_the_hours_are_those_of_all_parts(two: tuple[Path, Path], tmp_path: Path):
    mixed = mixture(Part(recipe=plain(two[0]), questions=5), Part(recipe=plain(two[1]), questions=5, name="other"))
    with ScriptedTeacher() as teacher, pytest.raises(LimitReached):
        build(mixed, teacher, tmp_path / "run", hours=1e-9)


def test_a_folder_belongs_to_one_mixture(two: tuple[Path, Path], tmp_path: Path):
    mixed = mixture(Part(recipe=plain(two[0]), questions=2))
    with ScriptedTeacher() as teacher:
        build(mixed, teacher, tmp_path / "run")
        with pytest.raises(UserError, match="choose another --out"):
            build(mixed.replace(name="else"), teacher, tmp_path / "run")
        with pytest.raises(UserError, match="choose another --out"):
            plain(two[0]).build(teacher.url, out=tmp_path / "run", questions=2, report=QUIET)


def test_its_answers_are_lent_by_all_of_its_parts(two: tuple[Path, Path], tmp_path: Path):
    mixed = mixture(Part(recipe=plain(two[0]), questions=4), Part(recipe=plain(two[1]), questions=4, name="other"))
    with ScriptedTeacher() as teacher:
        build(mixed, teacher, tmp_path / "run")
        before = asked(teacher)
        build(mixed, teacher, tmp_path / "again", reuse=[tmp_path / "run"])
        assert asked(teacher) == before


def test_more_than_two_sources_of_a_domain_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    files = [
        write_questions(tmp_path / f"{n}.jsonl", [{"question": f"What is {n} + {m}?"} for m in range(4)])
        for n in range(3)
    ]
    mixed = mixture(*(Part(recipe=plain(one), questions=1) for one in files))
    with ScriptedTeacher() as teacher:
        mixed.build(teacher.url, out=tmp_path / "run", preview=1)
    told = capsys.readouterr().err
    assert "domain creative has 3 sources" in told
    assert "41.3" in told


def test_a_part_is_decontaminated_before_anything_is_asked(two: tuple[Path, Path], tmp_path: Path):
    tests = write_questions(tmp_path / "tests.jsonl", toy_questions(20))
    recipe = plain(two[0])
    recipe = recipe.replace(steps=(Decontaminate(against=(str(tests),)), *recipe.steps))
    with ScriptedTeacher() as teacher:
        with pytest.raises((UserError, NearlyAllDropped)):
            build(mixture(Part(recipe=recipe, questions=5)), teacher, tmp_path / "run")
        assert asked(teacher) == 0


def test_every_part_is_compared_with_the_benchmarks_of_all(two: tuple[Path, Path], tmp_path: Path):
    tests = write_questions(tmp_path / "tests.jsonl", toy_questions(3))
    first, second = plain(two[0]), plain(two[1])
    second = second.replace(steps=(Decontaminate(against=(str(tests),)), *second.steps))
    mixed = mixture(Part(recipe=first, questions=17), Part(recipe=second, questions=2, name="other"))
    with ScriptedTeacher() as teacher:
        run = build(mixed, teacher, tmp_path / "run")
        found = run.rejected.filter(pl.col("reason") == "in_benchmark")
        assert sorted(found["part"]) == ["creative"] * 3 + ["other"] * 3, "and so are their twins"
        alone = build(mixed.replace(against="none"), teacher, tmp_path / "none")
        assert alone.rejected.filter(pl.col("reason") == "in_benchmark").is_empty()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"parts": ()}, "has no parts"),
        ({"name": "A b"}, "a name is made of"),
        ({"short": "maybe"}, "short"),
        ({"rows": 100}, "for parts with shares"),
        ({"parts": 5}, r"write parts=\(Part\(…\), Part\(…\)\), and not 5"),
        ({"parts": (Part(recipe=creative, questions=1),)}, "creative is none: .* as in creative.recipe"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_told_at_once(fields: dict[str, Any], sentence: str, two: tuple[Path, Path]):
    with pytest.raises(UserError, match=sentence):
        mixture(**({"parts": (Part(recipe=plain(two[0]), questions=1),)} | fields))


@pytest.mark.parametrize(
    ("quota", "sentence"),
    [
        ({}, "give one of questions, rows and share, and not none of them"),
        ({"questions": 1, "rows": 2}, "questions=1 and rows=2"),
        ({"questions": 0}, "at least 1"),
        ({"questions": True}, "whole number"),
        ({"share": 1.5}, "above 0 and at most 1"),
        ({"share": 0.5}, "add up to 0.5"),
        ({"questions": 1, "short": "some"}, "short"),
        ({"questions": 1, "name": "../up"}, "a name is made of"),
        ({"questions": 1, "name": "answers"}, "the name answers, which something else in its folder has"),
    ],
)
def test_a_quota_that_makes_no_sense_is_told_at_once(quota: dict[str, Any], sentence: str, two: tuple[Path, Path]):
    with pytest.raises(UserError, match=sentence):
        mixture(Part(recipe=plain(two[0]), **quota))


def test_replace_changes_the_mixture_and_all_of_its_recipes(two: tuple[Path, Path]):
    mixed = mixture(Part(recipe=plain(two[0]), questions=1), Part(recipe=plain(two[1]), questions=1))
    changed = mixed.replace(samples=7, max_length="2000chars")
    assert changed.samples == 7
    assert {part.recipe.max_length for part in changed.parts} == {"2000chars"}
    assert [name for name, _ in mixed.named()] == ["creative", "creative-2"]
    with pytest.raises(UserError, match="a mixture has no 'colour'"):
        mixed.replace(colour="red")


def test_the_command_that_goes_on_has_all_that_was_changed(two: tuple[Path, Path], tmp_path: Path):
    mixed = mixture(Part(recipe=plain(two[0]), questions=5), Part(recipe=plain(two[1]), questions=3, name="other"))
    changes = {"source": str(two[1]), "trace": "written", "max_tokens": 900, "system": "Be brief.", "against": "none"}
    changed = mixed.replace(**changes, max_length="2000chars", sampling={"temperature": 0.5, "top_p": 0.9})
    with ScriptedTeacher() as teacher:
        run = build(changed.replace(short="keep"), teacher, tmp_path / "run", scale=0.123456789)
    command = run.state()["command"]
    for option in (
        f"--source {two[1]}",
        "--trace written",
        "--max-tokens 900",
        "--system 'Be brief.'",
        "--against none",
        "--max-length 2000chars",
        "--temperature 0.5",
        "--top-p 0.9",
        "--scale 0.123456789",
    ):
        assert f" {option} " in command


def test_a_preview_shows_the_answers_of_every_part(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tunixhack: Command
):
    monkeypatch.chdir(tmp_path)
    part = "Part(recipe=creative.recipe.replace(source={!r}).without(LengthFilter), questions=5, name={!r})"
    parts = ", ".join(part.format(str(path), name) for path, name in zip(two, ("one", "other"), strict=True))
    Path("own.py").write_text(
        "from tunixhack import LengthFilter, Mixture, Part\nfrom tunixhack.recipes import creative\n"
        f"mixture = Mixture(name='own', parts=({parts}), samples=2)\n"
    )
    with ScriptedTeacher() as teacher:
        result = tunixhack("build", "own.py", "--teacher", teacher.url, "--preview", "2")
    assert result.code == 0, result.err
    assert result.out.count("sample 0") == 4
    assert "; 4 answers received;" in " ".join(result.out.split())
