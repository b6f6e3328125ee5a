"""Frames of pandas, Arrow and polars as plain data: columns of arrays, or the bytes of an Arrow stream."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from kernel_bridge.errors import CannotTravel

Reduced = tuple[Any, ...]

_SAFE_ARROW: Final = 15  # before it, reading a stream could run code


def reduce(value: Any) -> Reduced | None:
    """Take a frame, a column or an index apart; None when it is none of these."""
    library = type(value).__module__.partition(".")[0]
    if library not in {"pandas", "pyarrow", "polars"} or library not in sys.modules:
        return None
    return _BY_LIBRARY[library](value, sys.modules[library])


def _reduce_pandas(value: Any, pd: Any) -> Reduced | None:
    if type(value) is pd.DataFrame:
        columns = [_column(value.iloc[:, number].array, pd) for number in range(value.shape[1])]
        return "frame", (columns, value.columns, value.index, value.attrs)
    if type(value) is pd.Series:
        return "series", (_column(value.array, pd), value.index, value.name, value.attrs)
    if type(value) is pd.RangeIndex:
        return "range_index", (value.start, value.stop, value.step, value.name)
    if type(value) is pd.MultiIndex:
        return "multi_index", (list(value.levels), [codes.copy() for codes in value.codes], list(value.names))
    if isinstance(value, pd.Index):
        return "index", (_column(value.array, pd), value.name, getattr(value, "freqstr", None))
    if type(value) is pd.Timestamp:
        return "timestamp", (value.to_datetime64(), None if value.tz is None else str(value.tz))
    if type(value) is pd.Timedelta:
        return "pandas_timedelta", value.to_timedelta64()
    return ("missing", "NaT" if value is pd.NaT else "NA") if value is pd.NaT or value is pd.NA else None


def _column(values: Any, pd: Any) -> Any:
    """Return one column as the name of a kind and its parts."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "category", values.codes.copy(), values.categories, bool(values.ordered)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return "zoned", values.asi8.copy(), str(dtype.unit), str(dtype.tz)
    if isinstance(dtype, pd.api.extensions.ExtensionDtype) and not isinstance(values, pd.arrays.NumpyExtensionArray):
        return "extension", str(dtype), values.to_numpy(dtype=object, na_value=None).tolist()
    return "numpy", import_module("numpy").asarray(values)


def _build_column(column: Any) -> Any:
    kind, *parts = column
    pd = import_module("pandas")
    if kind == "numpy":
        return parts[0]
    if kind == "category":
        codes, categories, ordered = parts
        return pd.Categorical.from_codes(codes, categories=categories, ordered=bool(ordered))
    if kind == "zoned":
        stamps, unit, zone = parts
        return pd.DatetimeIndex(stamps.view(f"M8[{unit}]")).tz_localize("UTC").tz_convert(_text(zone)).array
    if kind == "extension":
        return pd.array(parts[1], dtype=_text(parts[0]))
    raise CannotTravel("a column is broken")


def _build_frame(state: Any) -> Any:
    columns, names, index, attrs = state
    frame = import_module("pandas").DataFrame({n: _build_column(each) for n, each in enumerate(columns)}, index=index)
    frame.columns = names
    frame.attrs = dict(attrs)
    return frame


def _build_series(state: Any) -> Any:
    column, index, name, attrs = state
    series = import_module("pandas").Series(_build_column(column), index=index, name=name)
    series.attrs = dict(attrs)
    return series


def _build_index(state: Any) -> Any:
    column, name, frequency = state
    index = import_module("pandas").Index(_build_column(column), name=name)
    if frequency is not None and hasattr(index, "freq"):
        index.freq = _text(frequency)
    return index


def _build_multi_index(state: Any) -> Any:
    levels, codes, names = state
    return import_module("pandas").MultiIndex(levels, codes, names=names)


def _build_range_index(state: Any) -> Any:
    start, stop, step, name = state
    return import_module("pandas").RangeIndex(start, stop, step, name=name)


def _build_timestamp(state: Any) -> Any:
    stamp, zone = state
    made = import_module("pandas").Timestamp(stamp)
    return made if zone is None else made.tz_localize("UTC").tz_convert(_text(zone))


def _reduce_arrow(value: Any, pa: Any) -> Reduced | None:
    if isinstance(value, pa.Table):
        table, kind = value, "table"
    elif isinstance(value, pa.ChunkedArray | pa.Array):
        table, kind = pa.table({"values": value}), "array" if isinstance(value, pa.Array) else "chunked"
    else:
        return None
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return "arrow", (kind, pickle.PickleBuffer(sink.getvalue()))


def _build_arrow(state: Any) -> Any:
    kind, data = state
    pa = import_module("pyarrow")
    if int(pa.__version__.partition(".")[0]) < _SAFE_ARROW:
        raise CannotTravel(f"pyarrow {pa.__version__} cannot read what it does not trust: install a newer one")
    table = import_module("pyarrow.ipc").open_stream(pa.py_buffer(data)).read_all()
    table.validate(full=True)
    if kind == "table":
        return table
    column = table.column(0)
    return column.combine_chunks() if kind == "array" else column


def _reduce_polars(value: Any, pl: Any) -> Reduced | None:
    if isinstance(value, pl.DataFrame):
        frame, kind = value, "frame"
    elif isinstance(value, pl.Series):
        frame, kind = value.to_frame(), "series"
    else:
        return None
    if any(dtype == pl.Object for dtype in frame.dtypes):
        return None
    sink = io.BytesIO()
    frame.write_ipc(sink)
    return "polars", (kind, pickle.PickleBuffer(sink.getbuffer()))


def _build_polars(state: Any) -> Any:
    kind, data = state
    frame = import_module("polars").read_ipc(io.BytesIO(data))
    return frame if kind == "frame" else frame.to_series()


def _text(value: Any) -> str:
    if type(value) is not str:
        raise CannotTravel("a frame is broken")
    return value


_BY_LIBRARY: Final[dict[str, Callable[[Any, Any], Reduced | None]]] = {
    "pandas": _reduce_pandas,
    "pyarrow": _reduce_arrow,
    "polars": _reduce_polars,
}
CONSTRUCTORS: Final[dict[str, Callable[[Any], Any]]] = {
    "frame": _build_frame,
    "series": _build_series,
    "index": _build_index,
    "multi_index": _build_multi_index,
    "range_index": _build_range_index,
    "timestamp": _build_timestamp,
    "pandas_timedelta": lambda value: import_module("pandas").Timedelta(value),
    "missing": lambda name: getattr(import_module("pandas"), "NaT" if name == "NaT" else "NA"),
    "arrow": _build_arrow,
    "polars": _build_polars,
}
