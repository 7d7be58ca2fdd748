"""Model FLOPs utilisation (MFU): the useful floating-point operations of a training over what its devices could do.

Useful are the products with weights for real tokens: of a weight that is learnt 6 operations a token (2 in the forward
pass, 2 for the gradient of its input, 2 for its own gradient), of a frozen one 4, since it has no gradient of its own.
Padding, attention's two products, and what is computed twice to save memory (remat) count nothing. This is appendix B
of PaLM [1] without its term for attention, and with the 4 that LoRA's frozen weights take.

[1] Chowdhery et al., PaLM, 2022, https://arxiv.org/abs/2204.02311
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tunixhack.train.core.memory_estimate import ModelShape
from tunixhack.train.settings import Method

_DATASHEETS = "https://resources.nvidia.com/en-us-tensor-core"
_WHITEPAPERS = "https://images.nvidia.com/aem-dam/Solutions/geforce"
_SOURCES: Mapping[str, tuple[float, str]] = {
    # a chip of v2 or v3 is two devices of jax's
    "TPU v2": (45e12 / 2, "https://arxiv.org/abs/1907.10701"),
    "TPU v3": (123e12 / 2, "https://cloud.google.com/tpu/docs/v3"),
    "TPU v4": (275e12, "https://cloud.google.com/tpu/docs/v4"),
    "TPU v5 lite|TPU v5e": (197e12, "https://cloud.google.com/tpu/docs/v5e"),
    "TPU v5|TPU v5p": (459e12, "https://cloud.google.com/tpu/docs/v5p"),
    "TPU v6 lite|TPU v6e": (918e12, "https://cloud.google.com/tpu/docs/v6e"),
    # NVIDIA prints the figure with sparsity, which is twice this
    "B200": (2250e12, "https://www.nvidia.com/en-us/data-center/hgx/"),
    "H200|H200 141GB HBM3e?|GH200 .*": (1979e12 / 2, _DATASHEETS),
    "H100 80GB HBM3|H100 SXM.*": (1979e12 / 2, _DATASHEETS),
    "H100 NVL|H200 NVL": (1671e12 / 2, _DATASHEETS),
    "H100 PCIe": (1513e12 / 2, _DATASHEETS),
    "A100-(SXM4|PCIE)-[48]0GB|A100 80GB PCIe": (312e12, "https://www.nvidia.com/en-us/data-center/a100/"),
    "A40": (149.7e12, "https://www.nvidia.com/en-us/data-center/a40/"),
    "A30": (165e12, "https://www.nvidia.com/en-us/data-center/products/a30-gpu/"),
    "A10": (125e12, "https://www.nvidia.com/en-us/data-center/products/a10-gpu/"),
    "L40S": (362e12, "https://www.nvidia.com/en-us/data-center/l40s/"),
    "L4": (121e12, "https://www.nvidia.com/en-us/data-center/l4/"),
    # with sums in fp32, of the architectures' whitepapers
    "GeForce RTX 5090": (209.5e12, f"{_WHITEPAPERS}/blackwell/nvidia-rtx-blackwell-gpu-architecture.pdf"),
    "GeForce RTX 4090": (165.2e12, f"{_WHITEPAPERS}/ada/nvidia-ada-gpu-architecture.pdf"),
    "GeForce RTX 3090": (
        71e12,
        "https://www.nvidia.com/content/PDF/nvidia-ampere-ga-102-gpu-architecture-whitepaper-v2.pdf",
    ),
    # it has no bf16: of fp16, the fastest that it has
    "T4": (65e12, "https://www.nvidia.com/en-us/data-center/tesla-t4/"),
}
"""Operations a second of one of jax's devices in dense bf16, by a regular expression over its ``device_kind`` without
the maker's name, and where the figure is from."""


def peak_flops(device_kind: str) -> float | None:
    """Return the most floating-point operations a second of a device, in dense bf16.

    Args:
        device_kind: as jax names it.

    Returns:
        None for a device that is not known, such as a processor, or a part of a GPU (MIG).

    >>> peak_flops("NVIDIA H100 80GB HBM3"), peak_flops("TPU v5 lite"), peak_flops("cpu")
    (989500000000000.0, 197000000000000.0, None)
    """
    name = re.sub(r"^(NVIDIA|Tesla) ", "", device_kind)
    return next((peak for kinds, (peak, _) in _SOURCES.items() if re.fullmatch(kinds, name)), None)


def flops_per_token(shape: ModelShape, method: Method) -> int:
    """Return the useful operations of a training for each real token.

    A table of embeddings that is not the output's, too, is looked up and not multiplied with, and counts nothing.

    Args:
        shape: of the student.
        method: what is learnt.

    >>> tiny = ModelShape(parameters=1000, adapters=10, layers=1, width=4, products=32, attended=4, vocabulary=16)
    >>> flops_per_token(tiny, "full"), flops_per_token(tiny, "lora")
    (6000, 4060)
    """
    multiplied = shape.parameters - shape.looked_up
    return 6 * multiplied if method == "full" else 4 * multiplied + 6 * shape.adapters
