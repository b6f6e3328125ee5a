"""What the notebook's pickler does beyond cloudpickle."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kernel_bridge.codecs import arrays
from kernel_bridge.codecs.diagnose import diagnose
from kernel_bridge.codecs.pickler import pack, unpack
from kernel_bridge.errors import CannotTravel


class NoReferences:
    """Nothing travels as a name."""

    in_container = False

    def refer(self, value: object) -> None:
        """Return nothing."""

    def find(self, kind: str, details: dict[str, Any]) -> object:
        """Fail."""
        raise AssertionError((kind, details))

    def has_builtin_kinds(self) -> bool:
        """Say no."""
        return False


def there_and_back(value: object, here: dict[str, Any], there: dict[str, Any]) -> Any:
    """Pickle in one namespace and unpickle in another."""
    packed = pack(value, here, NoReferences(), arrays.Memory())
    buffers = [bytearray(buffer) for buffer in packed.buffers]
    return unpack(packed.pickle, [memoryview(buffer) for buffer in buffers], there, NoReferences())


def test_functions_are_bound_to_the_receivers_namespace() -> None:
    """No private globals, and the receiver's builtins stay as they are."""
    here: dict[str, Any] = {"__name__": "__main__"}
    there: dict[str, Any] = {"__builtins__": {"len": lambda _: 42}, "n": 1}
    exec("def f(x: int, *, k=2) -> int:\n    'doc'\n    global n\n    n += k\n    return len([])\nf.tag = 1", here)
    function = there_and_back(here["f"], here, there)
    assert function.__globals__ is there
    assert function(0) == 42
    assert there["n"] == 3
    assert (function.__doc__, function.tag, function.__kwdefaults__) == ("doc", 1, {"k": 2})


def test_small_buffers_stay_in_band() -> None:
    """Only buffers of 32 KiB and more travel beside the pickle."""
    assert pack(np.zeros(100), {}, NoReferences(), arrays.Memory()).buffers == ()
    packed = pack(np.zeros(4096), {}, NoReferences(), arrays.Memory())
    assert [buffer.nbytes for buffer in packed.buffers] == [32768]
    assert len(packed.pickle) < 500


def test_strided_arrays_travel_out_of_band() -> None:
    """A view with gaps is made contiguous and does not swell the pickle."""
    packed = pack(np.zeros((1000, 100))[:, ::2], {}, NoReferences(), arrays.Memory())
    assert [buffer.nbytes for buffer in packed.buffers] == [400_000]


@pytest.mark.parametrize(
    "values",
    [
        [f"row {index}" for index in range(2000)],
        [f"row {index}" for index in range(2000)] + [None, float("inf")],
        [f"é\x00{index}\ud800" for index in range(2000)],
        ["a", "b"] * 1000,
        list(range(2000)),
        ["\x00\x1e\x1f\uf8ff\U0010fffd" + str(index) for index in range(2000)],
    ],
)
def test_object_arrays_keep_their_values(values: list[Any]) -> None:
    """Whatever codec is chosen, the values are the same."""
    array = np.array(values, dtype=object).reshape(2, -1)
    back = there_and_back(array, {}, {})
    assert back.shape == array.shape
    assert back.ravel().tolist() == values


def test_frames_with_strings_and_missing_values() -> None:
    """A frame arrives equal."""
    frame = pd.DataFrame({"s": [f"v{i}" for i in range(3000)], "n": range(3000)})
    frame.loc[5, "s"] = None
    pd.testing.assert_frame_equal(there_and_back(frame, {}, {}), frame)


def test_read_only_arrays_stay_read_only() -> None:
    """The flag travels."""
    array = np.zeros(10_000)
    array.flags.writeable = False
    assert not there_and_back(array, {}, {}).flags.writeable


def test_open_files_are_refused(tmp_path: Any) -> None:
    """An open file is not turned into a copy of its text."""
    with (tmp_path / "f").open("w") as stream, pytest.raises(CannotTravel):
        pack([stream], {}, NoReferences(), arrays.Memory())


class Part:
    """Something with attributes."""


def test_diagnose_names_the_path() -> None:
    """The sentence leads to the innermost part."""
    config = Part()
    config.logger = Part()  # type: ignore[attr-defined]
    config.logger.handlers = [1, {"lock": threading.Lock()}]  # type: ignore[attr-defined]
    config.logger.handlers[1]["lock"].acquire()  # type: ignore[attr-defined]

    def attempt(part: object) -> None:
        pack(part, {}, NoReferences(), arrays.Memory())

    with pytest.raises(CannotTravel) as caught:
        attempt(config)
    told = "cfg.logger.handlers[1]['lock'] is a lock that is held (release it first)"
    assert diagnose("cfg", config, attempt, caught.value) == told


def test_diagnose_gives_a_types_own_reason() -> None:
    """Where nothing inside is at fault, the error itself is told."""

    class Stubborn:
        def __reduce__(self) -> Any:
            raise ValueError("open me first")

    def attempt(part: object) -> None:
        pack(part, {}, NoReferences(), arrays.Memory())

    with pytest.raises(ValueError, match="first") as caught:
        attempt([Stubborn()])
    assert diagnose("x", [Stubborn()], attempt, caught.value) == "x[0] cannot be pickled: open me first"
