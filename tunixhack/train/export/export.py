"""A trained student as files that others can run, each loaded again and compared before it gets its name."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from tunixhack._util.addresses import local_path
from tunixhack._util.files import write_json
from tunixhack._util.installation import install_command
from tunixhack._util.safe_text import print_text
from tunixhack.errors import UserError, nearest
from tunixhack.train.export.check import QUESTIONS, Difference, compare
from tunixhack.train.export.exported import FORMATS, Exported, Format
from tunixhack.train.export.folder import Ends, copy_terms, write_beside_weights
from tunixhack.train.export.gguf import write_gguf
from tunixhack.train.export.llama_cpp import TOKENS, available, compare_written
from tunixhack.train.export.merge import first_broken, plain_model
from tunixhack.train.export.ollama import modelfile
from tunixhack.train.export.orbax import differs, trained, write_orbax
from tunixhack.train.export.weights import write_weights
from tunixhack.train.models.hf_folder import open_folder
from tunixhack.train.student import Student

RECORD = "export.json"
"""Beside the formats' folders: what was exported, and what the checks measured."""

MARGIN = 64 * 2**20
"""Bytes of disk beyond the weights: tokenizer, vocabulary, what a file system needs for itself."""


def export(
    student: Student,
    out: str | Path,
    formats: Sequence[str] = FORMATS,
    *,
    step: int | None = None,
    check: bool = True,
    say: Callable[[str], object] = print_text,
) -> Exported:
    """Write a student's weights for others, and compare each format with the live model.

    Args:
        student: a `tunixhack.train.student.Student`.
        out: a new or empty folder. It gets its name when all is written and checked, and not before.
        formats: ``safetensors``, a Hugging Face folder with the adapters merged, in fp32; ``orbax``, the trained
            parameters as the hackathon loads them; ``gguf``, F16 for llama.cpp, LM Studio and Ollama.
        step: the number in ``actor/<step>``; None for the student's own.
        check: load each again and compare it with the live model, which needs memory for one more copy of it.
            Safetensors are compared in logits, Orbax bit by bit, GGUF in 20 greedy tokens to ten questions; the last
            only where xllamacpp is installed.
        say: takes a sentence at the start of what may take long, and one for each result.

    Raises:
        UserError: ``out`` holds other files, the weights are not finite, the disk is too small, or a check failed, in
            which case nothing is left.
    """
    out = local_path(out).expanduser()
    for name in formats:
        if name not in FORMATS:
            raise UserError(f"no student can be exported as {name!r}: {nearest(str(name), FORMATS)}")
    if not formats:
        raise UserError(f"name a format to export: {', '.join(FORMATS)}")
    _refuse_other_files(out)
    if (broken := first_broken(student.model)) is not None:
        raise UserError(
            f"the student's {broken} holds numbers that are not finite, so it is not exported: go back to an earlier "
            "checkpoint, and train on with a lower learning rate"
        )
    draft = out.parent / f".{out.name}.draft"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(draft, ignore_errors=True)  # of an export that was killed
        _refuse_small_disk(student, formats, out.parent)
        draft.mkdir()
        exported = _Export(student, draft, out, say, check).run(formats, student.step if step is None else step)
        _write_record(draft, student, exported)
        draft.replace(out)
    except OSError as error:
        raise UserError(
            f"cannot export to {out}: {error.strerror or error}; nothing was left there, so make room or choose "
            "another folder, and export again"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    say(f"exported to {out}")
    return exported


@dataclass
class _Export:
    """One export: what its formats share."""

    student: Student
    draft: Path
    out: Path
    say: Callable[[str], object]
    check: bool

    def run(self, formats: Sequence[str], step: int) -> Exported:
        student, exported = self.student, Exported(folder=self.out)
        base = student.base
        if "orbax" in formats:
            self._orbax(exported, step)
        if {"safetensors", "gguf"}.isdisjoint(formats):
            return exported
        if student.settings.method != "full":
            self.say("merging the adapters into the base's weights")
        plain = plain_model(student)
        if "safetensors" in formats:
            folder = self.draft / "safetensors"
            folder.mkdir()
            self.say(f"writing safetensors ({4 * base.parameters / 1e9:.1f} GB)")
            write_beside_weights(folder, base, student.renderer)
            shapes = base.family.tensors(base.config)
            write_weights(folder / "model.safetensors", base.family.to_huggingface(plain), shapes)
            exported.safetensors = self.out / "safetensors"
        if "gguf" in formats:
            folder = self.draft / "gguf"
            folder.mkdir()
            file = folder / f"{self.out.name}-f16.gguf"
            self.say(f"writing a GGUF file in F16 ({2 * base.parameters / 1e9:.1f} GB)")
            write_gguf(file, base, student.renderer, base.family.to_huggingface(plain), name=self.out.name)
            copy_terms(folder, base)
            if (text := modelfile(file.name, student.renderer)) is not None:
                (folder / "Modelfile").write_text(text, encoding="utf-8")
            exported.gguf = self.out / "gguf" / file.name
        # Under QLoRA the live weights are those of the base rounded to four bits, which no export has: what is written
        # is compared with the merged weights, and how far these are from the live ones is told.
        reference = student.model
        if student.settings.method == "qlora":
            reference = plain
            found = self._compare(student.model, plain)
            exported.measured["merged"] = dataclasses.asdict(found)
            self.say(
                f"merged into weights that are not quantised: the most likely token is the live model's at "
                f"{found.same_first:.1%} of {found.places} places"
            )
        del plain
        if exported.safetensors:
            self._check_safetensors(exported, reference)
        if exported.gguf:
            self._check_gguf(exported, reference)
        return exported

    def _orbax(self, exported: Exported, step: int) -> None:
        folder = self.draft / "orbax"
        folder.mkdir()
        self.say("writing the trained parameters for Orbax")
        written = write_orbax(folder, self.student.model, step=step)
        exported.orbax = self.out / "orbax"
        if not self._checked("orbax", exported):
            return
        other = differs(written, self.student.model)
        if other is not None:
            raise self._failed("orbax", f"{other} is read with other numbers than it has in the live student")
        count = len(jax.tree.leaves(trained(self.student.model)))
        exported.measured["orbax"] = {"equal_arrays": count}
        self.say(f"orbax: checked, all {count} arrays are equal")

    def _check_safetensors(self, exported: Exported, reference: Any) -> None:
        if not self._checked("safetensors", exported):
            return
        found = self._compare(reference, open_folder(self.draft / "safetensors").load(self.student.mesh, jnp.float32))
        if not found.rounding:
            raise self._failed(
                "safetensors",
                f"its logits differ from the live student's by up to {found.largest:.2g}, of {found.scale:.3g} at most",
            )
        exported.measured["safetensors"] = dataclasses.asdict(found)
        self.say(
            f"safetensors: checked, logits differ by at most {found.largest:.1e} (they go to {found.scale:.3g}, "
            f"{found.places} places)"
        )

    def _check_gguf(self, exported: Exported, reference: Any) -> None:
        if not self._checked("gguf", exported):
            return
        student, base = self.student, self.student.base
        if not available():
            why = f"llama.cpp is not installed here ({install_command('local')})"
            exported.unchecked["gguf"] = why
            self.say(f"gguf: NOT checked, since {why}")
            return
        assert exported.gguf is not None
        file = self.draft / "gguf" / exported.gguf.name
        found = compare_written(file, base.family, reference, student.renderer, Ends.of(base), QUESTIONS, student.mesh)
        if not found.enough:
            raise self._failed(
                "gguf",
                f"the first {TOKENS} tokens that llama.cpp writes are the live student's for {found.equal} of "
                f"{found.questions} questions only ({found.agreed} of {found.tokens} tokens)",
            )
        exported.measured["gguf"] = dataclasses.asdict(found)
        self.say(
            f"gguf: checked, {TOKENS} greedy tokens equal to the live student's for {found.equal} of "
            f"{found.questions} questions"
        )

    def _checked(self, name: Format, exported: Exported) -> bool:
        if not self.check:
            exported.unchecked[name] = "it was not asked for"
        return self.check

    def _compare(self, one: Any, other: nnx.Module) -> Difference:
        student = self.student
        rows = [student.renderer.prompt([{"role": "user", "content": question}]) for question in QUESTIONS]
        return compare(student.base.family, one, other, rows, student.mesh)

    def _failed(self, name: Format, what: str) -> UserError:
        others = ", ".join(f'"{other}"' for other in FORMATS if other != name)
        return UserError(
            f"the export as {name} is not the student: {what}. Nothing was left at {self.out}; the student itself is "
            f"unharmed. formats=({others}) leaves this one out, check=False writes it as it is"
        )


def _refuse_other_files(out: Path) -> None:
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} is there already and is not replaced: name a new folder for the export")


def _refuse_small_disk(student: Student, formats: Sequence[str], folder: Path) -> None:
    count = student.base.parameters
    leaves = jax.tree.leaves(trained(student.model))
    sizes = {"safetensors": 4 * count, "gguf": 2 * count, "orbax": sum(leaf.nbytes for leaf in leaves)}
    needed = sum(sizes[name] for name in formats) + MARGIN
    free = shutil.disk_usage(folder).free
    if free < needed:
        each = ", ".join(f"{name} {sizes[name] / 1e9:.1f}" for name in formats)
        raise UserError(
            f"the export needs {needed / 1e9:.1f} GB ({each}) and {folder} has {free / 1e9:.1f} GB free: make room, "
            "choose another disk, or name fewer formats"
        )


def _write_record(folder: Path, student: Student, exported: Exported) -> None:
    told = {
        "student": student.base.name,
        "family": student.base.family.name,
        "settings": student.settings.as_dict(),
        # what the hackathon's way of loading has to be given besides rank and alpha
        "lora_modules": student.base.family.lora_modules,
        "rendering": student.renderer.describe(),
        "measured": exported.measured,
        "unchecked": exported.unchecked,
    }
    write_json(folder / RECORD, told)
