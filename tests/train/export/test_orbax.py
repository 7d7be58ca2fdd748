"""Orbax in the hackathon's layout: what one device wrote, eight read, and the other way round."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax.numpy as jnp

from tests.train.export.trained import trained
from tunixhack.train.export.orbax import differs, write_orbax

ROOT = Path(__file__).resolve().parents[3]
WRITE = """
import sys
from pathlib import Path
import jax, numpy as np
from tests.train.export.trained import trained as student
from tunixhack.train.export.orbax import trained, write_orbax

folder, method = Path(sys.argv[1]), sys.argv[2]
made = student(folder / "base", method=method, devices=jax.device_count())
assert {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(trained(made.model))} == {jax.device_count()}
print(write_orbax(folder, made.model, step=7))
"""
READ = """
import sys
from pathlib import Path
import jax, numpy as np, orbax.checkpoint as ocp
from flax import nnx
from tests.train.export.trained import trained as student
from tunixhack.train import checkpoints
from tunixhack.train.export.orbax import differs, trained

folder, method = Path(sys.argv[1]), sys.argv[2]
made = student(folder / "base", method=method, devices=jax.device_count())
steps = [int(path.name) for path in (folder / "actor").iterdir() if path.name.isdigit()]
place = folder / "actor" / str(max(steps)) / "model_params"
assert differs(place, made.model) is None
live = jax.tree.map(lambda leaf: np.asarray(leaf), trained(made.model))

def changed():
    nnx.update(made.model, jax.tree.map(lambda leaf: leaf * 0 + 3, trained(made.model)))

def same():
    return all(map(np.array_equal, jax.tree.leaves(trained(made.model)), jax.tree.leaves(live)))

# as the hackathon's readers do it: shapes and types, and not a word about devices
changed()
assert not same()
shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), trained(made.model))
with ocp.StandardCheckpointer() as checkpointer:
    nnx.update(made.model, checkpointer.restore(place, target=shapes))
assert same()
# as this package loads the checkpoint of a training
changed()
checkpoints.restore(checkpoints.latest(folder / "actor"), made.model, made.settings)
assert same()
print("same on", jax.device_count())
"""


EXPORT = """
import sys
from pathlib import Path
import jax
from tests.train.export.trained import trained as student
from tunixhack.train.export.export import export

folder, method = Path(sys.argv[1]), sys.argv[2]
made = student(folder / "base", method=method, devices=jax.device_count())
print(export(made, folder / "out", ("safetensors", "orbax")).measured["safetensors"]["largest"])
"""


def child(code, devices, *arguments):
    # eight devices wait for one another on two cores, longer than XLA's 40 seconds where others use these, too
    patient = "--xla_cpu_collective_call_terminate_timeout_seconds=240"
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} {patient}",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize(("wrote", "reads"), [(1, 8), (8, 1)])
def test_what_some_devices_wrote_others_read(tmp_path, method, wrote, reads):
    assert child(WRITE, wrote, tmp_path, method) == str(tmp_path / "actor" / "7" / "model_params")
    assert child(READ, reads, tmp_path, method) == f"same on {reads}"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_student_is_exported_from_eight_devices(tmp_path, method):
    assert float(child(EXPORT, 8, tmp_path, method)) < 1e-3


def test_a_number_that_differs_is_named(tmp_path):
    student = trained(tmp_path / "base")
    folder = write_orbax(tmp_path, student.model, step=3)
    assert folder == tmp_path / "actor" / "3" / "model_params"
    assert differs(folder, student.model) is None
    adapter = student.model.layers[4].mlp.gate_proj.kernel_lora_a
    adapter[...] = adapter[...].at[1, 1].add(jnp.float32(1e-6))
    found = differs(folder, student.model)
    assert "gate_proj" in found
    assert "kernel_lora_a" in found
