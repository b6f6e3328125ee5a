"""torch tensors: each storage travels once, out of band, and a card is remembered where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from kernel_bridge.codecs.arrays import Spot, extent, is_array_type, start
from kernel_bridge.errors import CannotTravel

if TYPE_CHECKING:
    from kernel_bridge.codecs.pickler import NotebookPickler

# The attribute by which a tensor that came home to a machine without its card remembers where it lived.
REMEMBERED: Final = "_cellburst_device"


def torch() -> ModuleType | None:
    """Return torch if the notebook has imported it."""
    return sys.modules.get("torch")


def is_tensor_type(kind: type) -> bool:
    """Whether a type is exactly a tensor or a parameter."""
    module = torch()
    tensor = getattr(module, "Tensor", None)
    return tensor is not None and (kind is tensor or (kind.__name__ == "Parameter" and issubclass(kind, tensor)))


def reduce_tensor(tensor: Any, pickler: NotebookPickler) -> Any:
    """Reduce a dense tensor to its storage's bytes and its place in them.

    Raises CannotTravel for a tensor that is the result of a recorded computation.
    """
    if tensor.grad_fn is not None:
        raise CannotTravel("a tensor that carries an autograd graph cannot travel; use its .detach()")
    if not _is_plain(tensor):
        return NotImplemented
    source, storage = _storage_of(tensor, pickler)
    offset, strides = source.storage_offset(), source.stride()
    made = (storage, str(tensor.dtype).removeprefix("torch."), offset, tuple(tensor.shape), strides, device_of(tensor))
    state = {key: value for key, value in vars(tensor).items() if key != REMEMBERED}
    details = (bool(tensor.requires_grad), type(tensor).__name__ == "Parameter", tensor.grad, state)
    return make_tensor, (*made, *details)


def make_tensor(
    storage: Any, dtype: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *details: Any
) -> Any:
    """Make a tensor over a storage that `load_storage` made."""
    module = sys.modules["torch"]
    device, requires_grad, is_parameter, grad, state = details
    tensor = module.empty(0, dtype=getattr(module, dtype), device=storage.device)
    tensor.set_(storage, offset, shape, strides)
    if is_parameter:
        tensor = module.nn.Parameter(tensor, requires_grad=requires_grad)
    else:
        tensor.requires_grad_(requires_grad)
    if grad is not None:
        tensor.grad = grad
    vars(tensor).update(state)
    if str(tensor.device) != device:
        setattr(tensor, REMEMBERED, device)
    return tensor


def load_storage(array: Any, device: str) -> Any:
    """Make a storage of an array's bytes, on the card they were on if this machine has one."""
    module = import_module("torch")
    return module.from_numpy(array).to(resolve_device(device)).untyped_storage()


def device_of(tensor: Any) -> str:
    """Return the device a tensor is on, or the one it remembers."""
    if tensor.device.type == "cpu":
        return str(getattr(tensor, REMEMBERED, "cpu"))
    return str(tensor.device)


def resolve_device(device: str) -> str:
    """Return the device of this machine that stands for one of another machine."""
    cuda = sys.modules["torch"].cuda
    if not device.startswith("cuda") or not cuda.is_available():
        return "cpu"
    index = int(device.partition(":")[2] or 0)
    return f"cuda:{min(index, cuda.device_count() - 1)}"


def storage_key(tensor: Any) -> int:
    """Return what tensors that share memory have in common; the tensor's own id when it has no storage."""
    try:
        return int(tensor.untyped_storage().data_ptr()) or id(tensor)
    except (RuntimeError, NotImplementedError, AttributeError):
        return id(tensor)


def memory_of(owner: Any) -> int:
    """Return what an array's memory and a tensor over it have in common; the owner's id for anything else."""
    if is_array_type(type(owner)):
        return start(owner)
    return storage_key(owner) if isinstance(owner, sys.modules["torch"].Tensor) else id(owner)


def storages_of_arrays(tensors: Iterable[Any], arrays: Iterable[Any]) -> dict[int, _Storage]:
    """Return the storages, by their keys, of tensors that are made over the memory of some arrays."""
    extents = [extent(array) for array in arrays if not array.dtype.hasobject]
    found: dict[int, _Storage] = {}
    for tensor in tensors:
        key = storage_key(tensor)
        if key in found or not _is_plain(tensor) or tensor.device.type != "cpu":
            continue
        storage = tensor.untyped_storage()
        low, high = key, key + storage.nbytes()
        if any(first < high and low < last for first, last in extents):
            found[key] = _Storage(storage, device_of(tensor))
    return found


def spot(tensor: Any) -> Spot:
    """Return where a tensor lies; one without a storage lies by itself."""
    try:
        return Spot(storage_key(tensor), int(tensor.data_ptr()), tuple(tensor.stride()))
    except (RuntimeError, NotImplementedError):
        return Spot(id(tensor), 0, ())


def can_be_written(tensor: Any) -> bool:
    """Whether all elements can be replaced in place: each has memory of its own, and it is no inference tensor."""
    if not tensor.is_leaf or tensor.is_inference():
        return False
    if tensor.layout is not sys.modules["torch"].strided:
        return True
    return not any(length > 1 and stride == 0 for length, stride in zip(tensor.shape, tensor.stride(), strict=True))


def size_bytes(tensor: Any) -> int:
    """Return how many bytes a tensor's elements take."""
    return int(tensor.numel()) * int(tensor.element_size())


class _Storage:
    """A storage's bytes on their way; one object per storage, so that the pickle's memo sends it once."""

    def __init__(self, storage: Any, device: str) -> None:
        module = sys.modules["torch"]
        flat = module.empty(0, dtype=module.uint8, device=storage.device).set_(storage, 0, (storage.nbytes(),), (1,))
        self.array = flat.cpu().numpy()
        self._device = device

    def __reduce__(self) -> Any:
        return load_storage, (self.array, self._device)


def _is_plain(tensor: Any) -> bool:
    """Whether a tensor is dense memory of the processor or a card, to be read as it lies there."""
    plain = tensor.layout is sys.modules["torch"].strided and not tensor.is_quantized
    return plain and tensor.device.type in {"cpu", "cuda"} and not tensor.is_conj() and not tensor.is_neg()


def _storage_of(tensor: Any, pickler: NotebookPickler) -> tuple[Any, _Storage]:
    """Return the tensor to describe and its storage, the same object for all tensors that share it.

    A small view of a large storage that nothing else in the unit uses is made compact first.
    """
    shared = pickler.array_memory.tensors
    key, storage, device = storage_key(tensor), tensor.untyped_storage(), device_of(tensor)
    if shared.get(key) == 1 and size_bytes(tensor) * 2 < storage.nbytes():
        compact = tensor.detach().contiguous().clone()
        return compact, _Storage(compact.untyped_storage(), device)
    if not isinstance(shared.get(key), _Storage):
        shared[key] = _Storage(storage, device)
    return tensor, shared[key]
