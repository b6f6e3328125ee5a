"""New views of memory that is here already: where one arrived of memory that stands for it, it is made over this."""

from __future__ import annotations

import sys
from typing import Any

from kernel_bridge.codecs import arrays

Known = list[tuple[Any, Any]]  # what arrived in the same memory, each with the one here that stands for it


def array_over(array: Any, known: Known) -> Any:
    """Make, over an array that is here, the view that one is of memory that arrived; None where it cannot be."""
    new, old = max(known, key=lambda pair: int(pair[1].nbytes))
    low, high = arrays.extent(array)
    shift = arrays.start(old) - arrays.start(new)
    first, last = arrays.extent(old)
    plain = arrays.is_array_type(type(array)) and arrays.is_array_type(type(old)) and not array.dtype.hasobject
    contiguous = old.flags.c_contiguous or old.flags.f_contiguous
    if not plain or not contiguous or low + shift < first or high + shift > last:
        return None
    offset_bytes = arrays.start(array) + shift - first
    return arrays.make_view(old, offset_bytes, array.shape, array.strides, array.dtype, array.flags.writeable)


def tensor_over(tensor: Any, known: Known) -> Any:
    """Make, over a storage that is here, the view that a tensor is of one that arrived; None where it cannot be."""
    module = sys.modules["torch"]
    new, old = known[0]
    if type(tensor) is not module.Tensor or tensor.layout is not module.strided or old.layout is not module.strided:
        return None
    storage = old.untyped_storage()
    if storage.nbytes() != new.untyped_storage().nbytes() or storage.device != tensor.device:
        return None
    made = module.empty(0, dtype=tensor.dtype, device=tensor.device)
    return made.set_(storage, tensor.storage_offset(), tensor.shape, tensor.stride())
