"""The conversion of weights from Tunix's arrangement to Hugging Face's, which is always [out, in]."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


def whole_array(parameter: Any) -> Array:
    """Bring a parameter of Tunix to the host, from all the devices that it lies on."""
    return np.asarray(jax.device_get(parameter[...]))


def linear(kernel: Array) -> Array:
    """Turn [in, out] into [out, in]."""
    return np.ascontiguousarray(kernel.T)


def to_heads(weight: Array) -> Array:
    """Turn [in, heads, head] into [heads * head, in]."""
    return np.ascontiguousarray(weight.reshape(weight.shape[0], -1).T)


def out_of_heads(weight: Array) -> Array:
    """Turn [heads, head, out] into [out, heads * head]."""
    return np.ascontiguousarray(weight.reshape(-1, weight.shape[-1]).T)
