"""Values of the wire: resources, durations, sizes, money, dataclasses as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_bridge.errors import BadOption, BadRequest, CellburstError, NoCapacity, Unauthorized, error_from
from kernel_bridge.protocol import notes
from kernel_bridge.protocol.blobs import BufferRef, UnitHead, check_digest
from kernel_bridge.protocol.cells import CellReply, CellRequest, FileRef, HandleHead, ManifestChange
from kernel_bridge.protocol.images import ImageRecipe, Step
from kernel_bridge.protocol.money import cost_microusd, format_usd
from kernel_bridge.protocol.resources import is_gpu_spec, parse_duration, parse_gpu, parse_size, show_size, write_size
from kernel_bridge.protocol.sessions import Notebook, SessionInfo, SessionSpec, SessionState, VolumeMount
from kernel_bridge.protocol.wire import from_wire, to_wire

SPEC = SessionSpec(
    notebook=Notebook(kernel_id="k1", python="3.11"),
    image=ImageRecipe(python="3.11", steps=(Step("pip_install", ("numpy",)),)),
    gpu="A100",
    volumes=(VolumeMount("models", "/models"),),
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("a100", "A100"), ("H100:8", "H100:8"), ("h100, a100-80gb:2", "H100,A100-80GB:2"), ("ANY", "any"), ("cpu", "cpu")],
)
def test_cards_are_read(text: str, canonical: str) -> None:
    """Names are taken in any case and written one way."""
    assert str(parse_gpu(text)) == canonical


@pytest.mark.parametrize("text", ["", "A100:0", "A100:9", "A100:x", "A 100", ",", "A100,"])
def test_what_is_no_card_says_what_to_write(text: str) -> None:
    """The error names an example, or the bound."""
    with pytest.raises(BadOption, match=r"A100|1 to 8"):
        parse_gpu(text)


def test_only_known_names_make_a_word_a_card() -> None:
    """`%gpu model.fit(x)` does not ask for a card named model."""
    assert is_gpu_spec("A100")
    assert is_gpu_spec("H100:2,any")
    assert not is_gpu_spec("model")


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("90", 90), ("1.5s", 1.5)])
def test_durations(text: str, seconds: float) -> None:
    """Lengths of time as people write them."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "size"), [("16G", 16 << 30), ("512MiB", 512 << 20), ("10kb", 10240), ("7", 7)])
def test_sizes(text: str, size: int) -> None:
    """Sizes as people write them, in powers of 1024; what we write is read back the same."""
    assert parse_size(text) == size
    assert parse_size(write_size(size)) == size


def test_sizes_are_shown_with_binary_units() -> None:
    """Only gibibytes have a part that matters."""
    shown = [show_size(size) for size in (0, 1023, 1 << 10, 512 << 20, 3 << 29)]
    assert shown == ["0 bytes", "1023 bytes", "1 KiB", "512 MiB", "1.5 GiB"]


@pytest.mark.parametrize("read", [parse_duration, parse_size])
@pytest.mark.parametrize("text", ["", "soon", "-1", "1x"])
def test_what_is_no_quantity_is_refused(read: object, text: str) -> None:
    """The error gives an example."""
    with pytest.raises(BadOption, match="for example"):
        read(text)  # type: ignore[operator]


@given(rate=st.integers(0, 10**8), seconds=st.floats(0, 10**6), more=st.floats(0, 10**6))
def test_longer_never_costs_less(rate: int, seconds: float, more: float) -> None:
    """Cost is a whole number and grows with time."""
    assert 0 <= cost_microusd(rate, seconds) <= cost_microusd(rate, seconds + more)


def test_money_is_written_as_people_read_it() -> None:
    """Small amounts keep four places."""
    assert format_usd(800) == "$0.0008"
    assert format_usd(1_250_000) == "$1.25"


@pytest.mark.parametrize(
    "value",
    [
        SPEC,
        SessionInfo(id="ses_1", state=SessionState.OPEN, spec=SPEC),
        CellRequest(
            manifest=ManifestChange(available=("a",)), units=(UnitHead(("a",), BufferRef(3, 0)),), timeout_s=2.0
        ),
        CellReply(
            epoch="e", handles=(HandleHead(key="k", name="m", type="list"),), files=(FileRef(path="x", size_bytes=1),)
        ),
    ],
)
def test_values_survive_json(value: object) -> None:
    """What was sent is what is read."""
    assert from_wire(type(value), json.loads(json.dumps(to_wire(value)))) == value


def test_every_note_survives_json() -> None:
    """The control plane, the client and the agent read what each other say."""
    for note in (
        notes.Hello(protocol=1),
        notes.Welcome(session=SessionInfo(id="s", state=SessionState.OPEN, spec=SPEC)),
        notes.Saved(names=("a",), lost={"b": "why"}, size_bytes=3, epoch="e"),
    ):
        assert notes.note_from_wire(json.loads(json.dumps(notes.note_to_wire(note)))) == note


@pytest.mark.parametrize(
    "data", [None, 3, {}, {"protocol": "one"}, {"protocol": True}, {"protocol": 1, "received": "x"}]
)
def test_what_does_not_fit_is_named(data: object) -> None:
    """A wrong or missing field is a BadRequest that says which."""
    with pytest.raises(BadRequest, match="Hello"):
        from_wire(notes.Hello, data)


def test_the_session_key_ignores_idling_and_other_kernels_names() -> None:
    """The idle window does not make another session; another kernel or image does; a name joins kernels."""
    assert replace(SPEC, idle_after_s=1.0).key == SPEC.key
    assert replace(SPEC, notebook=Notebook(kernel_id="k2")).key != SPEC.key
    named = replace(SPEC, name="shared")
    assert replace(named, notebook=Notebook(kernel_id="k2")).key == named.key


@pytest.mark.parametrize("text", ["", "../../etc/passwd", "g" * 32, "a" * 31])
def test_only_digests_name_files(text: str) -> None:
    """Nothing else may become part of a path."""
    with pytest.raises(BadRequest):
        check_digest(text)


def test_errors_cross_http_as_themselves() -> None:
    """The class and the sentence survive; a code nobody knows is still one of ours."""
    error = error_from("no_capacity", str(NoCapacity("No H100 here.")))
    assert isinstance(error, NoCapacity)
    assert str(error) == "No H100 here."
    assert str(error_from("unauthorized", str(Unauthorized("Wrong token.")))).count("%gpu_connect") == 1
    assert type(error_from("new_code", "x")) is CellburstError
