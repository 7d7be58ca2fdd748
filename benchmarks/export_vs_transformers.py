"""An exported student through transformers and PyTorch, over the live one in Tunix: the same tokens, the same logits.

A student of each family, with adapters that change it as a long training would, is exported as safetensors. Then
transformers loads the folder as any user would (`AutoModelForCausalLM`, `AutoTokenizer`), in fp32 on the CPU, writes
the prompts with the exported chat template, and computes logits at every place of them; the live student computes its
own, adapters unmerged.

Prints for each family ``export_vs_transformers_FAMILY``, the largest difference between two logits (goal: ≤ 1e-3), and
beside it how many prompts have the same tokens and at how many places both find the same token most likely.

The students are tiny and random; ``--model`` takes a real one (a folder or any other name that `train` takes). Needs
PyTorch, which nothing else here does: `make bench-export` installs it.

    python benchmarks/export_vs_transformers.py [--model MODEL]
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

GOAL = 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a real student instead of tiny ones")
    parser.add_argument("--accept-terms", action="store_true", help="of the model")
    arguments = parser.parse_args()
    if importlib.util.find_spec("torch") is None:
        print("export_vs_transformers: not run, since PyTorch is not installed: make bench-export")
        return
    from tunixhack.testing.student import write_tiny_student
    from tunixhack.train.models.base_model import FAMILIES
    from tunixhack.train.models.load import find

    failed = False
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if arguments.model:
            bases = [find(arguments.model, accept_terms=arguments.accept_terms, say=print)]
        else:
            bases = [find(write_tiny_student(place / family.name, family.name)) for family in FAMILIES]
        for base in bases:
            failed |= not measure(base, place / f"{base.family.name}-export")
    sys.exit(failed)


def measure(base, out: Path) -> bool:
    import jax
    import numpy as np
    import torch
    from flax import nnx
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    from tunixhack.train.core.mesh import device_mesh
    from tunixhack.train.export.check import QUESTIONS, logits, states
    from tunixhack.train.export.export import export
    from tunixhack.train.settings import settings
    from tunixhack.train.student import Student

    disable_progress_bar()
    student = Student.prepare(
        base, settings("lora", compute="float32", system="Be brief."), device_mesh(1, jax.devices()[:1])
    )
    random = np.random.default_rng(0)
    adapters = nnx.state(student.model, nnx.LoRAParam)
    nnx.update(student.model, jax.tree.map(lambda a: a + 0.02 * random.standard_normal(a.shape, np.float32), adapters))
    folder = export(student, out, ("safetensors",), say=lambda sentence: None).safetensors
    tokenizer = AutoTokenizer.from_pretrained(folder)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    conversations = [[{"role": "user", "content": question}] for question in QUESTIONS]
    prompts = [student.renderer.prompt(messages) for messages in conversations]
    written = [
        tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False)
        for messages in conversations
    ]
    same_prompts = sum(list(one) == other for one, other in zip(written, prompts, strict=True))
    hidden = states(base.family, student.model, prompts, student.mesh)
    largest, scale, same, places = 0.0, 0.0, 0, 0
    for number, prompt in enumerate(prompts):
        ours = logits(base.family, student.model, hidden[number, : len(prompt)])
        with torch.no_grad():
            found = theirs(torch.tensor([prompt])).logits[0].numpy()
        largest = float(np.maximum(largest, np.abs(ours - found).max()))
        scale = max(scale, float(np.abs(ours).max()))
        same += int((ours.argmax(-1) == found.argmax(-1)).sum())
        places += len(prompt)
    ends = theirs.generation_config.eos_token_id
    print(
        f"export_vs_transformers_{base.family.name}: {largest:.2e} (goal: <= {GOAL:.0e}; logits to {scale:.3g}, "
        f"{same} of {places} places alike, {same_prompts} of {len(prompts)} prompts, end tokens {ends})"
    )
    return largest <= GOAL and same_prompts == len(prompts)


if __name__ == "__main__":
    main()
