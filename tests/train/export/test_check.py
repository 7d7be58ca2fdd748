"""Logits compared: what is rounding, and what is not."""

import math

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax.numpy as jnp

from tests.train.export.trained import tokens_of, trained
from tunixhack.train.export.check import Difference, compare


@pytest.mark.parametrize(
    ("largest", "scale", "rounding"),
    [(9e-4, 20, True), (1.1e-3, 20, False), (1.1e-3, 120, True), (1.3e-3, 120, False), (math.nan, 20, False)],
)
def test_what_counts_as_rounding(largest, scale, rounding):
    assert Difference(largest=largest, scale=scale, same_first=1, places=1).rounding is rounding


def test_texts_of_several_lengths_are_compared_at_each_of_their_places(tmp_path):
    student = trained(tmp_path / "base", method="full")
    rows = [tokens_of(student), tokens_of(student, "Short."), tokens_of(student, "B")]
    same = compare(student.base.family, student.model, student.model, rows, student.mesh)
    assert (same.largest, same.same_first, same.places) == (0, 1, sum(map(len, rows)))
    untrained = student.base.load(student.mesh, jnp.float32)
    other = compare(student.base.family, student.model, untrained, rows, student.mesh)
    assert other.same_first < 1
    # what fills the rows up changes nothing
    alone = compare(student.base.family, student.model, untrained, rows[1:2], None)
    first = compare(student.base.family, student.model, untrained, [rows[1], rows[0]], student.mesh)
    assert alone.largest <= first.largest + 1e-5


def test_logits_that_are_no_numbers_are_no_rounding(tmp_path):
    student = trained(tmp_path / "base", method="full")
    other = student.base.load(student.mesh, jnp.float32)
    scale = other.layers[-1].attn._query_norm.scale
    scale[...] = scale[...] * np.nan
    found = compare(student.base.family, student.model, other, [tokens_of(student)], student.mesh)
    assert math.isnan(found.largest)
    assert not found.rounding
