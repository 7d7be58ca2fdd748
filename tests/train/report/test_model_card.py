"""A student's card: valid front matter, at most sixty lines, and hostile text that stays text."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tunixhack.train.inference.format_compliance import StudentReply, measure
from tunixhack.train.record import from_dict
from tunixhack.train.report import model_card as cards
from tunixhack.train.report.model_card import MOST_LINES
from tunixhack.train.report.samples import ComparedReplies, printable
from tunixhack.train.settings import settings

GOOD = StudentReply("<reasoning>2 + 2</reasoning>\n<answer>4</answer>", 20, True)
BAD = StudentReply("```\n| no | tags |\n# and <b>markup</b>\n\x1b[31m", 768, False)
SAMPLE = ComparedReplies(question="What is 2 + 2?", domain="math", before=BAD, after=GOOD)


def record(**changes):
    kept = {
        "base": {
            "name": "google/gemma-3-1b-it",
            "hub": "google/gemma-3-1b-it",
            "family": "gemma3",
            "parameters": 999_885_952,
            "fingerprint": "0" * 64,
        },
        "settings": settings("lora").as_dict(),
        "data": {
            "key": "0" * 64,
            "datasets": [
                {"name": "user/set", "weight": 1.0, "hub": "user/set"},
                {"name": "runs/creative", "weight": 2.0, "hub": None},
            ],
            "domains": [
                {
                    "name": "math",
                    "rows": 1200,
                    "validation_rows": 64,
                    "tokens": 4_000,
                    "learnt": 3_000,
                    "dropped": {"length": 3},
                }
            ],
        },
        "steps": 120,
        "epochs": 2.0,
        "plan": {"wanted": 120, "steps": 120, "all_epochs": 120},
        "tokens": 983_040,
        "seconds": {"load": 12.0, "train": 1800.0, "samples": 7300.0},
        "devices": "8 × TPU v5 lite",
        "versions": {"google-tunix": "0.1.7", "jax": "0.10.2"},
        "losses": {"first": 2.5, "last": 1.25, "validation_first": 2.4, "validation_last": 1.3},
        "validation": {
            "before": measure([BAD] * 50, "tags", 768).as_dict(),
            "after": measure([GOOD] * 46 + [BAD] * 4, "tags", 768).as_dict(),
        },
        "notes": ["The dataset was written by the embedded teacher: the form is right, and the content is not."],
    }
    return {**kept, **changes}


def card(content, samples=(), **options):
    return cards.card(from_dict(content, Path("student.json")), samples, **options)


def front_matter(text):
    start, matter, body = text.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(matter), body


def table(text, heading):
    """Return the rows of a card's table as a Markdown reader shows them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    tables, row = [], []
    for token, after in zip(tokens, [*tokens[1:], tokens[-1]], strict=True):
        if token.type == "table_open":
            tables.append([])
        elif token.type in ("th_open", "td_open"):
            assert all(child.type in ("text", "text_special") for child in after.children or []), after.content
            row.append("".join(child.content for child in after.children or []))
        elif token.type == "tr_close":
            tables[-1].append(row)
            row = []
    (found,) = [rows for rows in tables if rows[0][0] == heading]
    return found[1:]


def test_its_front_matter_is_the_hubs():
    matter, _ = front_matter(card(record()))
    assert matter == {
        "base_model": "google/gemma-3-1b-it",
        "datasets": ["user/set"],
        "license": "gemma",
        "pipeline_tag": "text-generation",
        "tags": ["reasoning", "tunix", "tunixhack"],
    }


def test_the_hubs_own_reader_takes_it():
    from huggingface_hub import ModelCard

    read = ModelCard(card(record(), [SAMPLE], curve=True))
    assert read.data.base_model == "google/gemma-3-1b-it"
    assert read.data.datasets == ["user/set"]


def test_a_base_that_is_no_repository_is_named_without_its_folder():
    text = card(record(base={"name": "/home/someone/models/my student", "fingerprint": "f", "hub": None}))
    matter, body = front_matter(text)
    assert not {"base_model", "license", "license_name", "license_link"} & matter.keys()
    assert "# my student, taught to show its work" in body
    assert "someone" not in text


def test_it_tells_what_was_done():
    _, body = front_matter(card(record(), curve=True))
    assert "999,885,952 parameters" in body
    assert "LoRA (rank 16, alpha 32), 2 epochs, batches of 8 × 1024 tokens, learning rate 0.0002, seed 0" in body
    assert "120 steps, 983,040 tokens, on 8 × TPU v5 lite" in body
    assert "load 12 s, train 30 min, samples 2.0 h" in body
    assert "google-tunix 0.1.7, jax 0.10.2" in body
    assert "training 2.500 to 1.250; validation 2.400 to 1.300" in body
    assert "![The loss by step](loss.png)" in body
    assert "- **Note**: The dataset was written by the embedded teacher" in body
    assert "loss.png" not in card(record())


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            {"steps": 9, "epochs": 0.214, "plan": {"wanted": 84, "steps": 84, "all_epochs": 84}},
            "0.21 of 2 epochs (9 of 84 steps)",
        ),
        ({"steps": 84, "epochs": 2.0, "plan": {"wanted": 84, "steps": 84, "all_epochs": 84}}, " 2 epochs"),
        ({"steps": 84, "epochs": None, "plan": {"wanted": 84, "steps": 84}}, "2 epochs asked for"),
    ],
)
def test_it_tells_the_epochs_that_were_gone_through(told, said):
    assert f"(rank 16, alpha 32), {said.strip()}, batches of" in card(record(**told))


@pytest.mark.parametrize(
    ("base", "licence"),
    [
        ({"hub": "Qwen/Qwen3-0.6B"}, {"license": "apache-2.0"}),
        ({"hub": "user/model"}, {}),
        ({"hub": None}, {}),
        ({"hub": "user/model", "license": {"id": "mit"}}, {"license": "mit"}),
        ({"hub": None, "license": {"id": "other", "name": "own", "link": "https://example.com/L"}},
         {"license": "other", "license_name": "own", "license_link": "https://example.com/L"}),
        ({"hub": None, "license": {"id": "mit\n---"}}, {}),
    ],
)  # fmt: skip
def test_the_licence_is_the_bases_or_left_out(base, licence):
    matter, _ = front_matter(card(record(base={"name": "x", "fingerprint": "f"} | base)))
    assert {name: value for name, value in matter.items() if name.startswith("license")} == licence


def test_every_weight_trained_has_no_rank():
    assert "Method: every weight trained, 2 epochs" in card(record(settings=settings("full").as_dict()))


def test_what_was_measured_comes_with_its_interval():
    rows = table(card(record()), "share of replies")
    assert rows[0] == [
        "exactly one trace and one answer",
        "0.00 (0 of 50; 0.00 to 0.07)",
        "0.92 (46 of 50; 0.81 to 0.97)",
    ]
    assert rows[1] == ["cut off by the limit", "1.00 (50 of 50; 0.93 to 1.00)", "0.08 (4 of 50; 0.03 to 0.19)"]
    assert rows[4] == ["tokens, mean", "768", "80"]


def test_what_is_not_known_yet_is_left_out():
    known = {name: record()[name] for name in ("base", "settings", "data")}
    _, body = front_matter(card(known))
    assert "Loss" not in body
    assert "share of replies" not in body
    before = {"before": record()["validation"]["before"], "after": None}
    assert table(card({**known, "validation": before}), "share of replies")[0][2] == "not measured"


def test_domains_with_what_was_dropped():
    assert table(card(record()), "domain") == [["math", "1,200", "64", "3,000", "length 3"]]


def test_hostile_samples_stay_text():
    assert table(card(record(), [SAMPLE]), "validation question") == [
        [
            "What is 2 + 2?",
            "``` ⏎ | no | tags | ⏎ # and <b>markup</b> ⏎ \ufffd[31m",
            "<reasoning>2 + 2</reasoning> ⏎ <answer>4</answer>",
        ]
    ]


@given(st.lists(st.text(max_size=60), min_size=3, max_size=3))
def test_any_text_is_shown_as_itself(texts):
    question, before, after = (f"x{' '.join(text.split())}x".replace("\x00", "") for text in texts)
    sample = ComparedReplies(
        question=question, before=StudentReply(before, 1, True), after=StudentReply(after, 1, True)
    )
    (row,) = table(card(record(), [sample]), "validation question")
    assert row == [printable(text) for text in (question, before, after)]


def test_it_has_at_most_sixty_lines_and_ten_samples_however_much_there_is():
    domains = [
        {
            "name": f"d{n}",
            "rows": 1,
            "validation_rows": 0,
            "tokens": 1,
            "learnt": 1,
            "dropped": {f"r{i}": 1 for i in range(9)},
        }
        for n in range(100)
    ]
    data = {**record()["data"], "domains": domains}
    text = card(record(data=data, notes=["a\nb"] * 20), [SAMPLE] * 30, curve=True)
    assert len(text.splitlines()) <= MOST_LINES
    assert len(table(text, "validation question")) == 10
    assert "92 domains more" in text
    assert len(table(text, "domain")) == 8


def test_names_cannot_leave_their_place():
    name = 'x\n---\nlicense: mit\n"|`'
    base = {**record()["base"], "name": name, "hub": name}
    domains = [{**record()["data"]["domains"][0], "name": name, "dropped": {name: 1}}]
    text = card(
        record(base=base, data={"key": "k", "datasets": [{"name": "n", "weight": 1, "hub": name}], "domains": domains})
    )
    matter, _ = front_matter(text)
    assert not {"base_model", "datasets", "license"} & matter.keys()
    assert len(table(text, "domain")) == 1
