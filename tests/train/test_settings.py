"""How a student is trained, and what is refused."""

import pytest

from tunixhack.errors import UserError
from tunixhack.train.settings import SCALES, Settings, differences, settings


def test_a_change_goes_before_a_scale_and_a_scale_before_the_method():
    plain, scaled = settings("full"), settings("full", scale="micro")
    assert (plain.learning_rate, plain.warmup_ratio) == (2e-5, 0.05)
    assert (scaled.learning_rate, scaled.warmup_ratio, scaled.batch_size) == (1e-5, 0.1, 32)
    assert settings("full", scale="micro", batch_size=4, epochs=None).batch_size == 4


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_can_be_trained(scale):
    assert settings("full", scale=scale).epochs >= 5


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"learning_rat": 1}, "did you mean learning_rate"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"epochs": 0}, "epochs"),
        ({"max_seq_len": 1}, "max_seq_len"),
        ({"warmup_ratio": 1}, "warmup_ratio"),
        ({"batch_size": 8, "micro_batch_size": 3}, "take one of 1, 2, 4, 8"),
        ({"validation_questions": -1}, "validation_questions"),
        ({"scale": "tiny"}, "scale"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(changes, named):
    with pytest.raises(UserError, match=named):
        settings("lora", **changes)


def test_an_unknown_method_is_refused_wherever_it_comes_from():
    for make in (lambda: settings("lorra"), lambda: Settings(method="lorra")):
        with pytest.raises(UserError, match="did you mean lora"):
            make()


def test_differences_name_what_came_and_what_went():
    assert differences({"a": 1, "b": 2}, {"b": 3, "c": 4}) == [
        "a was 1 and is None",
        "b was 2 and is 3",
        "c was None and is 4",
    ]
