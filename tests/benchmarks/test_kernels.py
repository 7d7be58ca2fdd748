"""The kernels of a compiled program: those of loops count as often as they turn, and of a choice one branch."""

from __future__ import annotations

import pytest

from benchmarks.common.kernels import count_kernels

PROGRAM = """\
HloModule jit_step, is_scheduled=true

%fused (a: f32[4]) -> f32[4] {
  %a = f32[4]{0} parameter(0)
  ROOT %negated = f32[4]{0} negate(%a)
}

%little (b: f32[4]) -> f32[4] {
  ROOT %one = f32[4]{0} fusion(%b), kind=kLoop, calls=%fused
}

%much (c: f32[4]) -> f32[4] {
  %two = f32[4]{0} fusion(%c), kind=kLoop, calls=%fused
  ROOT %three = (f32[4]{0}, /*index=1*/f32[9]{0}) custom-call(%two), custom_call_target="__cudnn$fmhaSoftmax"
}

%turn (d: (s32[], f32[4])) -> (s32[], f32[4]) {
  %chosen = f32[4]{0} conditional(%which, %d, %d), branch_computations={%little, %much}
  ROOT %next = (s32[], /*index=1*/f32[4]{0}) tuple(%at, %chosen)
}

ENTRY %main (x: f32[4]) -> f32[4] {
  %copied = f32[4]{0} copy(%x)
  %looped = (s32[], f32[4]{0}) while(%start), condition=%until, body=%turn, BACKEND
  ROOT %out = f32[4]{0} get-tuple-element(%looped), index=1
}
"""


def test_loops_count_their_turns_and_choices_their_larger_branch():
    turning = PROGRAM.replace("BACKEND", 'backend_config={"known_trip_count":{"n":"26"}}')
    assert count_kernels(turning) == 1 + 26 * 2


def test_a_loop_without_a_number_is_told_of():
    with pytest.raises(ValueError, match="how often it turns"):
        count_kernels(PROGRAM.replace("BACKEND", "backend_config={}"))
