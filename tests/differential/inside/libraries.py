"""What the objects of numpy, pandas, polars, torch, sympy and the plotting libraries are; nothing is imported."""

from __future__ import annotations

import sys
from typing import Any, Final

from tests.differential.inside.shape import Describe, Members, Place, Said, Shape, Stretch, digest, items, type_name

_CHUNK: Final = 16
_MOST_WRITTEN: Final = 4096  # elements; a larger array is told by the hash of each of its pieces
_PIECE: Final = 65_536


def _array(value: Any) -> Shape:
    order = (
        "F" if value.flags.fnc else "C"
    )  # how a part of a larger array lies matters where the larger one is seen too
    more = "" if value.flags.writeable else ", read-only"
    text = f"{type_name(type(value))} {value.dtype} {value.shape} {order}{more}"
    plain = value.view(sys.modules["numpy"].ndarray)
    parts = items(plain.ravel().tolist()) if value.dtype.hasobject else _pieces(plain.ravel())
    if hasattr(value, "mask"):
        parts += [(".mask", value.mask), (".fill_value", value.fill_value)]
    return Shape(
        text, parts, attributes=hasattr(value, "__dict__") and not hasattr(value, "mask"), memory=_place(value)
    )


def _place(value: Any) -> Place:
    owner = value
    while isinstance(owner.base, sys.modules["numpy"].ndarray):
        owner = owner.base
    key = owner.ctypes.data if value.size else id(value)
    begin, end = sys.modules["numpy.lib.array_utils"].byte_bounds(value)
    return Place(key, owner, begin, end, f"strides {value.strides}")


def _pieces(flat: Any) -> list[tuple[str, Any]]:
    """Return the parts of a flat numpy array: its numbers, or hashes of pieces when there are many."""
    size = len(flat)
    if size <= _MOST_WRITTEN:
        return [(_slice(at, _CHUNK, size), Stretch(flat[at : at + _CHUNK].tolist())) for at in range(0, size, _CHUNK)]
    return [
        (_slice(at, _PIECE, size), Said(f"hash {digest(flat[at : at + _PIECE].tobytes())}"))
        for at in range(0, size, _PIECE)
    ]


def _slice(start: int, length: int, size: int) -> str:
    return f".flat[{start}:{min(start + length, size)}]"


def _scalar(value: Any) -> Shape:
    return Shape(f"{type_name(type(value))} {value!r}", alone=True, attributes=False)


def _written(value: Any) -> Shape:
    return Shape(f"{type_name(type(value))} {value}", alone=True, attributes=False)


def _generator(value: Any) -> Shape:
    return Shape(type_name(type(value)), [(".bit_generator", value.bit_generator)], attributes=False)


def _bit_generator(value: Any) -> Shape:
    return Shape(type_name(type(value)), [(".state", Said(digest(repr(value.state))))], attributes=False)


def _random_state(value: Any) -> Shape:
    return Shape(type_name(type(value)), [(".state", Said(digest(repr(value.get_state(legacy=False)))))])


def _frame(value: Any) -> Shape:
    text = f"{type_name(type(value))} {value.shape}"
    columns = [(f".column {index} {name!r}", _column(value.iloc[:, index])) for index, name in enumerate(value.columns)]
    return Shape(
        text,
        [(".index", value.index), (".columns", value.columns), *columns, (".attrs", value.attrs)],
        attributes=False,
    )


def _series(value: Any) -> Shape:
    parts = [(".index", value.index), (".name", value.name), (".attrs", value.attrs), ("", _column(value))]
    return Shape(f"{type_name(type(value))} {value.shape}", parts, attributes=False)


def _index(value: Any) -> Shape:
    text = f"{type_name(type(value))} {value.shape}, freq {getattr(value, 'freqstr', None)}"
    if hasattr(value, "levels"):
        return Shape(
            text,
            [(".names", list(value.names)), ("", Members("tuples", items(value.tolist())))],
            alone=True,
            attributes=False,
        )
    return Shape(text, [(".name", value.name), ("", _column(value))], alone=True, attributes=False)


def _column(value: Any) -> Members:
    text = f"{value.dtype!r}"
    if hasattr(value.dtype, "categories"):
        text += f" {list(value.dtype.categories)!r} ordered={value.dtype.ordered}"
    return Members(text, items(value.astype(object).tolist()))


def _categorical(value: Any) -> Shape:
    return Shape(
        type_name(type(value)),
        [("", Members(repr(value.dtype), items(value.astype(object).tolist())))],
        attributes=False,
    )


def _polars_frame(value: Any) -> Shape:
    columns: list[tuple[str, Any]] = [
        (f".column {name!r}", column) for name, column in zip(value.columns, value.get_columns(), strict=True)
    ]
    return Shape(f"{type_name(type(value))} {value.shape}", columns, attributes=False)


def _polars_series(value: Any) -> Shape:
    return Shape(
        f"{type_name(type(value))} {value.name!r} {value.dtype}", items(value.to_list()), alone=True, attributes=False
    )


def _polars_plan(value: Any) -> Shape:
    return Shape(f"{type_name(type(value))}\n{value.explain(optimized=False)}", attributes=False)


def _tensor(value: Any) -> Shape:
    text = f"{type_name(type(value))} {value.dtype} {tuple(value.shape)} {value.device} grad={value.requires_grad}"
    if value.layout != sys.modules["torch"].strided:
        return Shape(f"{text} {value!r}", attributes=False)
    flat = value.detach().resolve_conj().resolve_neg().reshape(-1)
    half = str(value.dtype) in {"torch.bfloat16", "torch.float16"}
    parts = _pieces((flat.float() if half else flat).cpu().numpy()) if _has_numpy(value, half=half) else []
    if value.is_leaf and value.grad is not None:
        parts.append((".grad", value.grad))
    if value.grad_fn is not None:
        parts.append((".grad_fn", Said(type(value.grad_fn).__name__)))
    storage = value.untyped_storage()
    begin = value.storage_offset()
    end = begin + sum((size - 1) * step for size, step in zip(value.shape, value.stride(), strict=True)) + 1
    place = Place(storage.data_ptr() or id(value), storage, begin, end, f"strides {value.stride()}")
    return Shape(text, parts, memory=place)


def _has_numpy(value: Any, *, half: bool) -> bool:
    return half or (not value.is_quantized and "float8" not in str(value.dtype) and value.device.type != "meta")


def _torch_generator(value: Any) -> Shape:
    return Shape(f"{type_name(type(value))} {digest(value.get_state().numpy().tobytes())}", attributes=False)


def _symbolic(value: Any) -> Shape:
    """Describe an expression of sympy's; what it keeps of its own thinking (hashes, assumptions) is no part of it."""
    return Shape(f"{type_name(type(value))} {sys.modules['sympy'].srepr(value)}", alone=True, attributes=False)


def _artist(value: Any) -> Shape:
    """Describe a part of a matplotlib figure: what it shows, not what it has worked out for drawing."""
    own = vars(value)
    parts = [(f".{name}", own[name]) for name in _SHOWN if name in own]
    parts += [(f".child {index}", child) for index, child in enumerate(value.get_children()) if _is_content(child)]
    return Shape(type_name(type(value)), parts, attributes=False)


_SHOWN: Final = (
    "_dpi", "_text", "_x", "_y", "_xorig", "_yorig", "_color", "_linestyle", "_linewidth", "_marker_name",
    "_label", "_visible", "_alpha",
    "_width", "_height", "_x0", "_y0", "_facecolor", "_edgecolor", "_offsets", "_A", "_axis_name",
)  # fmt: skip


def _is_content(child: Any) -> bool:
    return not type(child).__name__.endswith(("Axis", "Spine", "Tick"))


def _figure_of_plotly(value: Any) -> Shape:
    parts = [(".data", _sorted(list(value._data))), (".layout", _sorted(value._layout))]
    return Shape(type_name(type(value)), parts, attributes=False)


def _part_of_plotly(value: Any) -> Shape:
    return Shape(type_name(type(value)), [(".props", _sorted(value._props or {}))], attributes=False)


def _sorted(value: Any) -> Any:
    """Return properties in one order: that in which they were set says nothing, nor does a group of none."""
    if isinstance(value, dict):
        return {name: _sorted(part) for name, part in sorted(value.items()) if not isinstance(part, dict) or part}
    return list(map(_sorted, value)) if isinstance(value, list | tuple) else value


def _picture(value: Any) -> Shape:
    opened = getattr(value, "fp", None) is not None  # to look at what has not been read yet would read it
    text = f"{type_name(type(value))} {value.mode} {value.size} {'not read' if opened else digest(value.tobytes())}"
    return Shape(text, [(".info", value.info)], attributes=False)


def _fields(value: Any) -> Shape:
    """Describe a model of pydantic's by its fields; what it validates with is the class's."""
    parts = [(f".{name}", part) for name, part in vars(value).items()]
    more = ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
    parts += [(f".{name}", getattr(value, name, None)) for name in more]
    return Shape(type_name(type(value)), parts, attributes=False)


DESCRIBED: Final[dict[str, Describe]] = {
    "numpy.ndarray": _array,
    "numpy.generic": _scalar,
    "numpy.dtype": lambda value: Shape(
        f"dtype {value.descr if value.names else value.str}", alone=True, attributes=False
    ),
    "numpy.ufunc": lambda value: Shape(f"ufunc {value.__name__}", alone=True, attributes=False),
    "numpy.random._generator.Generator": _generator,
    "numpy.random.bit_generator.BitGenerator": _bit_generator,
    "numpy.random.mtrand.RandomState": _random_state,
    "pandas.DataFrame": _frame,
    "pandas.core.frame.DataFrame": _frame,
    "pandas.Series": _series,
    "pandas.core.series.Series": _series,
    "pandas.Index": _index,
    "pandas.core.indexes.base.Index": _index,
    "pandas.core.arrays.base.ExtensionArray": _categorical,
    "pandas.api.extensions.ExtensionArray": _categorical,
    "pandas.api.extensions.ExtensionDtype": _written,
    "pandas.core.dtypes.base.ExtensionDtype": _written,
    "pandas._libs.missing.NAType": _written,
    "pandas._libs.tslibs.offsets.BaseOffset": _written,
    "pandas._libs.tslibs.period._Period": _scalar,
    "pandas._libs.interval.Interval": _scalar,
    "polars.dataframe.frame.DataFrame": _polars_frame,
    "polars.series.series.Series": _polars_series,
    "polars.lazyframe.frame.LazyFrame": _polars_plan,
    "polars.expr.expr.Expr": _written,
    "polars.datatypes.classes.DataType": _written,
    "torch.Tensor": _tensor,
    "torch._C.TensorBase": _tensor,
    "torch._C.Generator": _torch_generator,
    "torch.device": _scalar,
    "torch.dtype": _scalar,
    "torch.Size": _scalar,
    "sympy.core.basic.Basic": _symbolic,
    "sympy.matrices.matrixbase.MatrixBase": _symbolic,
    "matplotlib.artist.Artist": _artist,
    "matplotlib.cbook.CallbackRegistry": lambda value: Shape(type_name(type(value)), attributes=False),
    "matplotlib.backend_bases.FigureCanvasBase": lambda value: Shape(type_name(type(value)), attributes=False),
    "plotly.basedatatypes.BaseFigure": _figure_of_plotly,
    "plotly.basedatatypes.BasePlotlyType": _part_of_plotly,
    "PIL.Image.Image": _picture,
    "pydantic.main.BaseModel": _fields,
}
