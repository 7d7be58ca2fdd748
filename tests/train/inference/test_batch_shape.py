"""The shape of a batch: powers of two, over the devices, and within the memory there is."""

from types import SimpleNamespace

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from hypothesis import given
from hypothesis import strategies as st

from tunixhack.train.core.mesh import FSDP
from tunixhack.train.inference import batch_shape as module
from tunixhack.train.inference.batch_shape import CPU_ROWS, ROWS, SEEDED_ROWS, batch_shape, most_rows

GB = 10**9
GEMMA_1B = {
    "num_layers": 26, "num_kv_heads": 1, "head_dim": 256, "num_heads": 4, "hidden_dim": 6912, "embed_dim": 1152,
    "num_embed": 262_144,
}  # fmt: skip


class Devices:
    """The devices of a mesh."""

    def __init__(self, count, platform):
        self.flat = [SimpleNamespace(platform=platform)] * count


def student(devices=1, platform="gpu", held=2 * GB, positions=None, **config):
    mesh = SimpleNamespace(shape={FSDP: devices}, devices=Devices(devices, platform))
    base = SimpleNamespace(config=SimpleNamespace(**(GEMMA_1B | config)))
    return SimpleNamespace(base=base, mesh=mesh, held=held, positions=positions)


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    """A device of 140 GB with nothing on it but the student."""
    sizes = SimpleNamespace(whole=140 * GB, free=138 * GB)
    monkeypatch.setattr(module, "whole_memory", lambda: sizes.whole)
    monkeypatch.setattr(module, "free_memory", lambda: sizes.free)
    return sizes


def power_of_two(number):
    return number & (number - 1) == 0


@given(
    prompt=st.integers(1, 30_000),
    new=st.integers(1, 9000),
    left=st.integers(1, 5000),
    devices=st.sampled_from([1, 2, 6, 8]),
    gigabytes=st.integers(4, 140),
    platform=st.sampled_from(["gpu", "tpu", "cpu"]),
    seeded=st.booleans(),
)
def test_every_shape_fits_the_devices_and_their_memory(prompt, new, left, devices, gigabytes, platform, seeded):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "whole_memory", lambda: gigabytes * GB)
        patch.setattr(module, "free_memory", lambda: (gigabytes - 2) * GB)
        asked = student(devices, platform)
        shape = batch_shape(asked, prompt, new, left, seeded=seeded)
    assert power_of_two(shape.prompt)
    assert power_of_two(shape.total - shape.prompt)
    assert shape.prompt >= prompt
    assert shape.total - shape.prompt >= new
    assert shape.rows % devices == shape.group % devices == 0
    assert shape.rows % shape.group == 0
    assert devices <= shape.rows <= max(devices, most_rows(asked, seeded=seeded))
    each, group = shape.rows // devices, shape.group // devices
    planned = module.SHARE * (gigabytes - 2) * GB
    if each > 1:
        assert each * module._row_bytes(asked, shape.total) <= planned
    if group > 1:
        assert group * module._prompt_bytes(asked, shape.prompt) <= planned * module.PROMPT_SHARE


def test_memory_decides_how_many_rows_there_are(memory):
    asked = student()
    rows = [batch_shape(asked, prompt, 768, 5000, seeded=False).rows for prompt in (40, 2000, 9000, 30_000)]
    assert rows[0] == ROWS
    assert rows == sorted(rows, reverse=True)
    assert rows[-1] < ROWS
    memory.free = 10 * GB
    assert batch_shape(asked, 40, 768, 5000, seeded=False).rows < ROWS


def test_few_questions_take_few_rows(memory):
    assert [batch_shape(student(), 40, 768, left, seeded=False).rows for left in (1, 3, 33, 64)] == [1, 4, 64, 64]


def test_with_seeds_of_their_own_the_shape_follows_the_prompt_and_the_student_alone(memory):
    asked = student()
    shapes = {batch_shape(asked, prompt, 768, left, seeded=True) for prompt in (65, 128) for left in (1, 700)}
    memory.free = GB
    shapes.add(batch_shape(asked, 100, 768, 5, seeded=True))
    (shape,) = shapes
    assert shape.rows == SEEDED_ROWS


def test_a_processor_takes_few_rows_and_a_part_of_its_memory(memory):
    asked = student(platform="cpu")
    assert batch_shape(asked, 40, 200, 5000, seeded=False).rows <= CPU_ROWS
    shape = batch_shape(asked, 9000, 768, 5000, seeded=False)
    assert shape.rows * module._row_bytes(asked, shape.total) <= module.CPU_BYTES
    assert batch_shape(student(8, "cpu"), 40, 10, 1, seeded=True).rows == CPU_ROWS


def test_long_prompts_are_read_in_groups_of_rows(memory):
    """What is held while prompts are read grows with the square of their length, so that they are fewer at once."""
    memory.free = 40 * GB
    short, long = (batch_shape(student(), prompt, 768, 64, seeded=False) for prompt in (100, 4000))
    assert short.group == short.rows == long.rows == 64
    assert long.group < 64


def test_where_more_was_found_not_to_fit_fewer_are_taken(memory):
    before = batch_shape(student(), 100, 768, 5000, seeded=False)
    asked = student(positions=before.rows * before.total // 2)
    assert batch_shape(asked, 100, 768, 5000, seeded=False).rows == before.rows // 2
    assert batch_shape(asked, 1000, 768, 5000, seeded=False).rows < before.rows // 2
    assert batch_shape(asked, 10, 100, 100, seeded=False).rows == 128
