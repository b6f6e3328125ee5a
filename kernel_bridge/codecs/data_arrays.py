"""Arrays, numpy's scalars and tensors as plain data: their bytes, and text that says what they are."""

from __future__ import annotations

import math
import pickle
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from kernel_bridge.codecs.tensors import REMEMBERED, device_of
from kernel_bridge.errors import CannotTravel

Reduced = tuple[Any, ...]


def reduce(value: Any) -> Reduced | None:
    """Take an array, a scalar, a dtype or a tensor apart; None when it is none of these."""
    np, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if np is not None and type(value) is np.ndarray:
        return _reduce_array(value)
    if np is not None and isinstance(value, np.dtype) and not value.hasobject:
        return "dtype", describe(value)
    if np is not None and isinstance(value, np.generic) and not value.dtype.hasobject:
        return "scalar", (value.tobytes(), describe(value.dtype))
    if torch is not None and type(value) in {torch.Tensor, torch.nn.Parameter}:
        return _reduce_tensor(value, torch)
    return None


def describe(dtype: Any) -> Any:
    """Return what says what a dtype is: a text, or a list for one with fields."""
    return import_module("numpy.lib.format").dtype_to_descr(dtype)


def build_array(state: Any) -> Any:
    """Build an array of numbers, times or fixed texts over the bytes that arrived."""
    data, descr, shape, order, writeable = state
    np = import_module("numpy")
    dtype = build_dtype(descr)
    view = memoryview(data)
    flat = np.frombuffer(view if not view.readonly else bytearray(view), dtype) if view.nbytes else np.empty(0, dtype)
    array = flat.reshape(_shape(shape), order="F" if order == "F" else "C")
    if not writeable:
        array.flags.writeable = False
    return array


def build_dtype(descr: Any) -> Any:
    """Build a dtype; raises CannotTravel for one that holds objects."""
    if not isinstance(descr, str | list):
        raise CannotTravel("a dtype is broken")
    dtype = import_module("numpy.lib.format").descr_to_dtype(descr)
    if dtype.hasobject:
        raise CannotTravel("an array of bytes cannot hold objects")
    return dtype


def _reduce_array(array: Any) -> Reduced | None:
    if array.dtype == object:
        return "objects", (array.shape, array.ravel(order="C").tolist())
    if array.dtype.hasobject:
        return None
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    np = sys.modules["numpy"]
    flat = np.ravel(array, order=order).view(np.uint8) if array.nbytes else np.empty(0, np.uint8)
    data = pickle.PickleBuffer(flat if flat.flags.writeable else flat.copy())
    return "array", (data, describe(array.dtype), array.shape, order, bool(array.flags.writeable))


def _reduce_tensor(tensor: Any, torch: Any) -> Reduced | None:
    if tensor.grad_fn is not None:
        raise CannotTravel("a tensor that carries an autograd graph cannot travel; use its .detach()")
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type not in {"cpu", "cuda"}:
        return None
    flat = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    data = flat.view(torch.uint8).numpy() if flat.numel() else import_module("numpy").empty(0, "u1")
    name = str(tensor.dtype).removeprefix("torch.")
    is_parameter = type(tensor) is torch.nn.Parameter
    return "tensor", (data, name, tuple(tensor.shape), bool(tensor.requires_grad), is_parameter, device_of(tensor))


def _build_tensor(state: Any) -> Any:
    data, name, shape, requires_grad, is_parameter, device = state
    torch, np = import_module("torch"), import_module("numpy")
    dtype = getattr(torch, name) if type(name) is str and name.isidentifier() else None
    if not isinstance(dtype, torch.dtype) or type(data) is not np.ndarray or data.dtype != np.uint8:
        raise CannotTravel("a tensor is broken")
    flat = torch.from_numpy(data).view(dtype) if data.size else torch.empty(0, dtype=dtype)
    tensor = flat.reshape(_shape(shape))
    tensor = torch.nn.Parameter(tensor, requires_grad=False) if is_parameter else tensor
    tensor.requires_grad_(bool(requires_grad))
    if type(device) is str and device != "cpu":
        setattr(tensor, REMEMBERED, device)
    return tensor


def _build_objects(state: Any) -> Any:
    shape, values = state
    if type(values) is not list or math.prod(_shape(shape)) != len(values):
        raise CannotTravel("an array of objects is broken")
    array = import_module("numpy").empty(len(values), dtype=object)
    for index, value in enumerate(values):
        array[index] = value
    return array.reshape(shape)


def _build_scalar(state: Any) -> Any:
    data, descr = state
    return import_module("numpy").frombuffer(data, build_dtype(descr))[0]


def _shape(shape: Any) -> tuple[int, ...]:
    if type(shape) is not tuple or not all(type(length) is int and length >= 0 for length in shape):
        raise CannotTravel("a shape is broken")
    return shape


CONSTRUCTORS: Final[dict[str, Callable[[Any], Any]]] = {
    "array": build_array,
    "objects": _build_objects,
    "dtype": build_dtype,
    "scalar": _build_scalar,
    "tensor": _build_tensor,
}
