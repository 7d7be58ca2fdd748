"""The choice of an attention: what each kind of device gets, what is refused and why, and what can be forced."""

from types import SimpleNamespace

import pytest

pytest.importorskip("jax", reason="needs tunixhack[train]")

import jax.numpy as jnp
import numpy as np

from tests.train.attention.cases import shape
from tunixhack.errors import UserError
from tunixhack.train.attention import choose as choosing
from tunixhack.train.attention import cudnn
from tunixhack.train.attention.choose import choose
from tunixhack.train.attention.chunked import Chunked
from tunixhack.train.attention.cudnn import Packed, masked
from tunixhack.train.attention.dense import dense
from tunixhack.train.attention.sharded import Sharded
from tunixhack.train.attention.splash import Splash

LONG = {"length": 2048, "head_dim": 128, "dtype": jnp.bfloat16, "segments": 20}
ON_ACCELERATORS = Chunked(512, rows_together=True)


def mesh(platform="cpu", capability=None, parts=1):
    """A mesh of devices that are not here."""
    device = SimpleNamespace(platform=platform, device_kind="a device", client=SimpleNamespace(platform_version=""))
    if capability:
        device.platform, device.compute_capability = "gpu", capability
        device.client.platform_version = "PJRT C API cuda 13000"
    return SimpleNamespace(devices=np.array([[device]] * parts), shape={"fsdp": parts, "tp": 1})


@pytest.fixture
def compiles(monkeypatch):
    """Take for compiled what would have to be compiled for a device that is not here."""
    monkeypatch.setattr(choosing, "_compile", lambda attend, shape: None)
    monkeypatch.setattr(choosing, "_apart", lambda attend, shape: 0.01)


@pytest.mark.parametrize(
    ("where", "changes", "name", "attend"),
    [
        ({}, {}, "chunked", Chunked()),
        ({}, {"length": 128}, "dense", dense),
        ({"platform": "tpu"}, {}, "splash", Splash()),
        ({"platform": "tpu"}, {"dtype": jnp.float32}, "splash", Splash()),
        ({"capability": "9.0"}, {}, "cudnn", Packed(21, 4, 2, 128)),
        ({"capability": "10.3"}, {"head_dim": 256}, "cudnn", Packed(21, 4, 2, 256)),
        ({"capability": "9.0"}, {"segments": None}, "cudnn-masked", masked),
        ({"capability": "9.0"}, {"segments": 700}, "cudnn-masked", masked),
        ({"capability": "8.0"}, {}, "cudnn-masked", masked),
        ({"capability": "8.0"}, {"head_dim": 256}, "chunked", ON_ACCELERATORS),
        ({"capability": "9.0"}, {"dtype": jnp.float32}, "chunked", ON_ACCELERATORS),
        ({"capability": "7.5"}, {}, "chunked", ON_ACCELERATORS),
        ({"platform": "METAL"}, {}, "chunked", ON_ACCELERATORS),
    ],
)
def test_each_kind_of_device_gets_the_best_that_it_can(compiles, where, changes, name, attend):
    chosen = choose(mesh(**where), shape(**(LONG | changes)))
    assert (chosen.name, chosen.attend) == (name, attend)
    assert chosen.notes[0].startswith("Attention on ")
    assert f": {name}, " in chosen.notes[0]


def test_several_devices_attend_with_their_own_rows(compiles):
    chosen = choose(mesh(platform="tpu", parts=2), shape(**LONG))
    assert isinstance(chosen.attend, Sharded)
    assert chosen.attend.attend == Splash()


def test_rows_that_the_devices_do_not_divide_are_computed_in_blocks(compiles):
    chosen = choose(mesh(platform="tpu", parts=2), shape(**LONG, rows=3))
    assert chosen.name == "chunked"
    assert "2 devices do not divide the 3 training rows" in chosen.notes[1]


def test_what_does_not_compile_is_told_once_and_not_taken():
    chosen = choose(mesh(platform="tpu"), shape(length=256))  # a TPU's kernel, for the processor that is here
    assert chosen.name == "chunked"
    assert chosen.notes[0] == "Attention on a device: chunked, in blocks of tokens."
    (refused,) = chosen.notes[1:]
    assert refused.startswith("The attention splash is not taken: it does not compile (")


@pytest.mark.parametrize(("wrong", "told"), [(2.0, "apart from the dense one"), (float("nan"), "nan of the result")])
def test_a_kernel_that_computes_another_thing_here_is_not_taken(monkeypatch, wrong, told):
    monkeypatch.setitem(choosing._MAKERS, "splash", lambda devices, shape: lambda *of: wrong * dense(*of))
    chosen = choose(mesh(platform="tpu"), shape(length=256, window=512))
    assert chosen.name == "chunked"
    assert told in chosen.notes[1]


def test_a_kernel_that_computes_the_same_here_is_taken(monkeypatch):
    monkeypatch.setitem(choosing._MAKERS, "splash", lambda devices, shape: Chunked(32))
    assert choose(mesh(platform="tpu"), shape(length=256, window=512, segments=1)).name == "splash"


def test_a_release_of_jax_that_nobody_read_gets_the_public_call(compiles, monkeypatch):
    monkeypatch.setattr(cudnn, "VERSION", (0, 99))
    chosen = choose(mesh(capability="9.0"), shape(**LONG))
    assert chosen.name == "cudnn-masked"
    assert "known of jax 0.10 and 0.11" in chosen.notes[1]


@pytest.mark.parametrize(
    ("name", "where", "changes", "reason"),
    [
        ("splash", {}, {}, "it is for TPUs, and this is a processor"),
        ("cudnn", {}, {}, "it is for NVIDIA GPUs, and this is a processor"),
        ("cudnn", {"capability": "8.6"}, {}, "packed rows take compute capability 9.0 or newer"),
        ("cudnn", {"capability": "9.0"}, {"dtype": jnp.float32}, "bf16 or fp16, and the training in float32"),
        ("cudnn", {"capability": "9.0"}, {"segments": None}, "how many segments a training row may have"),
        ("cudnn-masked", {"capability": "7.5"}, {}, "8.0 or newer"),
        ("cudnn-masked", {"capability": "8.0"}, {"head_dim": 256}, "heads of up to 128 numbers"),
        ("splash", {"platform": "tpu"}, {}, "it does not compile"),
    ],
)
def test_one_that_is_asked_for_and_cannot_be_had_is_an_error(name, where, changes, reason):
    with pytest.raises(UserError, match=f"the attention {name} cannot be taken: .*{reason}.* chunked or dense"):
        choose(mesh(**where), shape(**(LONG | changes)), name)


@pytest.mark.parametrize("name", ["dense", "chunked"])
def test_those_that_run_everywhere_can_be_asked_for(name):
    chosen = choose(mesh(), shape(), name)
    assert chosen.name == name
    assert chosen.notes[0].endswith(", as asked.")


def test_an_unknown_name_is_told_with_the_known_ones():
    with pytest.raises(
        UserError, match="no attention 'flash': take one of splash, cudnn, cudnn-masked, chunked, dense"
    ):
        choose(mesh(), shape(), "flash")
