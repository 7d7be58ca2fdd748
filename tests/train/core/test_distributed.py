"""Whether a process is one of several, by its environment, and what it is told where the others are not there."""

from __future__ import annotations

import http.server
import signal
import socket
import threading

import pytest

pytest.importorskip("jax", reason="needs tunixhack[train]")

import jax

from tests.ports import reserved_port
from tunixhack.errors import UserError
from tunixhack.train.core import distributed
from tunixhack.train.core.distributed import Cluster, find_cluster

BY_HAND = {"JAX_COORDINATOR_ADDRESS": "node1:1234", "JAX_NUM_PROCESSES": "4", "JAX_PROCESS_ID": "3"}
TASK = {
    "SLURM_JOB_ID": "17",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "node[1-2]",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
}


def test_three_variables_say_it():
    found = find_cluster(BY_HAND)
    assert (found.address, found.count, found.index) == ("node1:1234", 4, 3)


def test_one_process_of_one_is_alone():
    assert find_cluster(BY_HAND | {"JAX_NUM_PROCESSES": "1", "JAX_PROCESS_ID": "0"}) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"JAX_PROCESS_ID": ""}, "JAX_PROCESS_ID is not: set all three"),
        ({"JAX_COORDINATOR_ADDRESS": "", "JAX_NUM_PROCESSES": ""}, "JAX_NUM_PROCESSES are not: set all three"),
        ({"JAX_PROCESS_ID": "4"}, "number the processes from 0 to 3"),
        ({"JAX_PROCESS_ID": "-1"}, "number the processes from 0 to 3"),
        ({"JAX_PROCESS_ID": "third"}, "JAX_PROCESS_ID is 'third', which is no number"),
        ({"JAX_COORDINATOR_ADDRESS": "node1"}, "must be HOST:PORT of process 0"),
        ({"JAX_COORDINATOR_ADDRESS": "http://node1:x"}, "must be HOST:PORT of process 0"),
    ],
)
def test_variables_that_cannot_be_are_a_sentence(changes, said):
    with pytest.raises(UserError, match=said):
        find_cluster(BY_HAND | changes)


def test_a_task_of_a_step_of_slurm_is_one_of_several():
    found = find_cluster(TASK)
    assert (found.address, found.count, found.index, found.options) == (None, 4, 3, {})
    assert "17.0" in found.source


@pytest.mark.parametrize(
    "changes",
    [
        {"SLURM_STEP_NODELIST": ""},  # the batch script itself, whatever the job's number of tasks
        {"SLURM_STEP_NUM_TASKS": "1"},  # srun --ntasks=1 in a job of four
        {"SLURM_STEP_NUM_TASKS": "", "SLURM_NTASKS": "1"},
    ],
)
def test_a_process_of_slurm_without_others_is_alone(changes):
    assert find_cluster(TASK | changes) is None


@pytest.mark.parametrize(
    ("changes", "devices"),
    [
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, None),  # a task for each GPU: jax gives it that of its number
        ({"CUDA_VISIBLE_DEVICES": "0"}, [0]),  # it sees no other
        ({"CUDA_VISIBLE_DEVICES": "0,1,2,3", "SLURM_STEP_NUM_NODES": "4"}, [0, 1, 2, 3]),  # a task for each node
    ],
)
def test_a_task_has_the_gpus_that_are_its_own(changes, devices):
    assert find_cluster(TASK | changes).options.get("local_device_ids") == devices


def test_a_pod_is_known_by_its_workers():
    assert find_cluster({"TPU_WORKER_HOSTNAMES": "a,b"}, tpu=True) == Cluster("TPU_WORKER_HOSTNAMES")
    assert find_cluster({"TPU_WORKER_HOSTNAMES": "a"}, tpu=True) is None
    assert find_cluster({"TPU_WORKER_HOSTNAMES": "a,b"}) is None  # no chips, or not to be used
    assert find_cluster({"TPU_SKIP_MDS_QUERY": "1"}, tpu=True) is None


@pytest.mark.parametrize(
    ("workers", "several"), [("a:8470:10.0.0.1,b:8470:10.0.0.2", True), ("a:8470:10.0.0.1", False)]
)
def test_a_pod_of_compute_engine_is_known_by_its_metadata(workers, several):
    class Metadata(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.headers["Metadata-Flavor"] == "Google" and self.path.endswith("/worker-network-endpoints")
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(workers.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("localhost", 0), Metadata) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = find_cluster({"GCE_METADATA_IP": f"localhost:{server.server_port}"}, tpu=True)
        server.shutdown()
    assert (found is not None) == several


def test_a_tpu_without_metadata_is_alone():
    with reserved_port() as port:
        assert find_cluster({"GCE_METADATA_IP": f"127.0.0.1:{port}"}, tpu=True) is None


@pytest.fixture
def soon(monkeypatch):
    """Three variables of process 1, whose time is up at once."""
    monkeypatch.setattr(distributed, "TIMEOUT", 0.1)
    for name, value in (BY_HAND | {"JAX_PROCESS_ID": "1"}).items():
        monkeypatch.setenv(name, value)
    return monkeypatch.setenv


def test_process_0_that_is_not_there_is_a_sentence_with_its_address(soon):
    said = []
    with reserved_port() as port:
        soon("JAX_COORDINATOR_ADDRESS", f"127.0.0.1:{port}")
        with pytest.raises(
            UserError, match=rf"process 0 was not reached at 127.0.0.1:{port} within .* the same command in all"
        ):
            distributed.meet(said.append)
    assert said == ["one of several processes, by JAX_COORDINATOR_ADDRESS: looking for process 0 for up to 0.1 s"]


def test_a_host_that_nobody_knows_is_a_sentence(soon):
    soon("JAX_COORDINATOR_ADDRESS", "no-such-host.invalid:1234")
    with pytest.raises(UserError, match=r"process 0 was not reached at no-such-host\.invalid:1234"):
        distributed.meet(lambda sentence: None)


def test_what_has_computed_already_cannot_meet_others(soon):
    jax.devices()
    with socket.create_server(("localhost", 0)) as there:
        soon("JAX_COORDINATOR_ADDRESS", f"localhost:{there.getsockname()[1]}")
        with pytest.raises(UserError, match="jax has looked at its devices already"):
            distributed.meet(lambda sentence: None)


def test_those_that_come_too_late_are_not_waited_for_and_a_signal_is_heard_meanwhile(soon, monkeypatch):
    reached, met = threading.Event(), threading.Event()

    def initialize(*_, **__):
        assert threading.current_thread() is not threading.main_thread()  # in jax's own call no signal is heard
        reached.set()
        met.wait()

    def interrupt():
        reached.wait()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    soon("JAX_PROCESS_ID", "0")
    try:
        with pytest.raises(UserError, match=r"not all 4 processes met at node1:1234 within 0\.1 seconds: start the"):
            distributed.meet(lambda sentence: None)
        monkeypatch.setattr(distributed, "TIMEOUT", 300)
        reached.clear()
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            distributed.meet(lambda sentence: None)
    finally:
        met.set()
