"""The embedded teacher's process: llama.cpp's server with one model, which ends with its parent.

Started by `tunixhack.teachers.local.server_process.EmbeddedServer`, or from a shell as a server by itself. It prints
one line, the address it answers at, to its standard output, and what llama.cpp has to say to its standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import threading
from pathlib import Path

from tunixhack._util.child_process import PARENT, end_with_parent

WARNINGS = 2
"""llama.cpp's verbosity that tells warnings and errors only: requests leave no lines."""


def main() -> None:
    """Serve the model named on the command line: until the parent is gone, where there is one."""
    if PARENT in os.environ:
        end_with_parent()
    parser = argparse.ArgumentParser(prog="tunixhack.teachers.local.llama_server")
    parser.add_argument("model", type=Path)
    parser.add_argument("--slots", type=int, default=16, help="answers that are generated at once")
    parser.add_argument("--context", type=int, default=2048, help="tokens of each slot, prompt and answer")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--host", default="127.0.0.1", help="the address that it listens at")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--small-keys", action="store_true", help="keep the cache's keys in 8 bits")
    arguments = parser.parse_args()
    # when memory runs out, this process is to go, and not the notebook that started it
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    _serve(arguments)


def _serve(arguments: argparse.Namespace) -> None:
    # Read when llama.cpp's OpenMP is loaded. Its threads wait for one another by spinning, without end by default: on a
    # machine that does anything else besides, one of them waits for a core that another one burns, and two threads
    # wrote at 1 to 40 tokens/s where one alone wrote at 130. After a few microseconds of spinning they sleep now.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(arguments.model)
    # what the server calls its model; by default that is the file's whole path
    params.model_alias = {arguments.model.stem}
    params.n_parallel = arguments.slots
    params.n_ctx = arguments.slots * arguments.context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = arguments.threads
    # off: on two cores 16 answers at once are written a tenth faster without it, one alone too
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    if arguments.small_keys:  # values stay in 16 bits: llama.cpp keeps them in 8 with flash attention only
        params.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_Q8_0
    params.cache_ram_mib = 0  # prompts of finished slots would otherwise be kept, up to 8 GiB
    params.verbosity = WARNINGS
    params.hostnames, params.port = [arguments.host], arguments.port
    params.ui = False
    params.cors_origins = "http://127.0.0.1"  # no web page that the user looks at may use it
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
