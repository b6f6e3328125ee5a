"""Secrets in a real container: their values reach neither the notebook nor the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel_bridge.protocol.messages import encode
from kernel_bridge.protocol.notes import Hibernate, Stop

Start = Callable[..., Any]
VALUE = "hf_Zq81LmPw07XkRt93Vb"
TOKEN = "cb_" + "Ab3-_" * 8 + "xyz"
ENV = {"KEY": VALUE, "PLAIN": "an-ordinary-value"}
HALVES = f"a, b = {VALUE[:9]!r}, {VALUE[9:]!r}\n"  # the value itself is never in the code


@pytest.fixture
def secretive(start: Start) -> Any:
    """A container with a secret."""
    return start(env=ENV, secret_keys=("KEY",))


def _everything(container: Any) -> bytes:
    return b"".join(b"".join(bytes(piece) for piece in encode(message)) for message in container.output)


def _saved_bytes(container: Any) -> bytes:
    return b"".join(file.read_bytes() for file in Path(container.config.state_dir).rglob("*") if file.is_file())


def _hibernate(container: Any) -> Any:
    container.plane.tell(Hibernate())
    return container.said("saved")


@pytest.mark.parametrize(
    "code",
    [
        "print(os.environ['KEY'])",
        "print(a, end='', flush=True)\nsys.stdout.flush()\nprint(b)",
        "for c in a + b: print(c, end='', flush=True)\nprint()",
        "os.write(1, a.encode())\nos.write(1, b.encode() + b'\\n')",
        "print(a, end='', flush=True)\nos.write(1, b.encode() + b'\\n')",
        "subprocess.run('echo $KEY; printenv KEY >&2', shell=True)",
        "print(base64.b64encode(b'user:' + (a + b).encode() + b':x').decode())",
        "subprocess.run('printf %s \"$KEY\" | base64', shell=True)",
        "print((a + b).encode().hex(), repr(a + b), json.dumps([a + b]))",
    ],
)
def test_what_is_written_is_struck(secretive: Any, code: str) -> None:
    """In one piece or in several, by Python or by processes, as it is or encoded."""
    secretive.run(f"import base64, json, os, subprocess, sys\n{HALVES}{code}")
    text = secretive.text("stdout") + secretive.text("stderr")
    assert "***KEY***" in text
    assert VALUE not in text and VALUE[9:] not in text


def test_ordinary_output_is_as_it_was(secretive: Any) -> None:
    """Order and text, whatever it ends in; other variables are shown."""
    secretive.run(
        "import os\nfor i in range(3000): print(i)\nprint('h', end='', flush=True)\n"
        "print('f', os.environ['PLAIN'], end='h')"
    )
    assert secretive.text() == "".join(f"{i}\n" for i in range(3000)) + "hf an-ordinary-valueh"


@pytest.mark.parametrize(
    "code",
    [
        "display(HTML(f'<b>{a}{b}</b>'))",
        "handle = display('x', display_id=True)\nhandle.update(a + b)",
        "display({'application/json': [{a + b: a + b}], 'text/plain': json.dumps(json.dumps(a + b))}, raw=True)",
        "a + b",
        "raise ValueError(a + b)",
        "class E(Exception):\n  def __init__(self, token): super().__init__(f'bad {token}')\nraise E(a + b)",
        "from comm import create_comm\ncreate_comm(target_name='x', data={'value': a + b})",
    ],
)
def test_what_is_shown_is_struck(secretive: Any, code: str) -> None:
    """Displays, results, errors with their tracebacks, comms."""
    reply, _ = secretive.run(f"import json\nfrom IPython.display import HTML, display\n{HALVES}{code}")
    secretive.output.append(reply)
    assert b"***KEY***" in _everything(secretive)
    assert VALUE.encode() not in _everything(secretive)


def test_tokens_are_struck_without_any_secret(start: Start) -> None:
    """By their form, in text and in displays."""
    container = start()
    reply, _ = container.run(
        f"print({TOKEN[:20]!r} + {TOKEN[20:]!r})\nraise ValueError({TOKEN[:20]!r} + {TOKEN[20:]!r})"
    )
    assert container.text() == "cb_***\n"
    assert TOKEN not in str(reply.content) + str(container.output)


def test_what_holds_a_value_stays(secretive: Any) -> None:
    """As it is, inside other objects, encoded, in string columns; a handle says why. The rest comes home."""
    _, reply = secretive.run(
        f"import base64, numpy as np\n{HALVES}token = a + b\nconfig = {{'deep': [{{'auth': f'Bearer {{token}}'}}]}}\n"
        "class Client: pass\nclient = Client()\nclient.key = token.encode()\n"
        "basic = base64.b64encode(f'me:{token}'.encode())\n"
        "column = np.array([f'row {i}' for i in range(2000)] + [token + '!'], dtype=object)\n"
        "numbers = np.arange(50_000.0)\nfine = {'x': 1}\ndel a, b"
    )
    reasons = {handle.name: handle.reason for handle in reply.handles}
    assert reasons.keys() == {"token", "config", "client", "basic", "column"}
    assert all("holds the value of the secret KEY" in reason for reason in reasons.values())
    assert secretive.namespace["fine"] == {"x": 1}
    assert len(secretive.namespace["numbers"]) == 50_000
    assert b"".join(file.read_bytes() for file in Path(secretive.config.arena_dir).rglob("*")).find(VALUE.encode()) < 0


def test_a_value_the_notebook_sent_goes_back(secretive: Any) -> None:
    """It is no secret to it; a changed object around it comes home changed."""
    config = {"token": VALUE}
    secretive.namespace["config"] = config
    secretive.run("config['lr'] = 1")
    secretive.run("config['lr'] += 1", may_change=("config",))
    assert secretive.namespace["config"] is config
    assert config == {"token": VALUE, "lr": 2}


def test_saved_state_refers_to_the_secret(start: Start) -> None:
    """No value lies on the disk, and who wakes with another value has that one everywhere."""
    first = start(session="s", env=ENV, secret_keys=("KEY",))
    first.run(
        f"import base64\n{HALVES}token = a + b\nconfig = {{'deep': [f'Bearer {{token}}!', token.encode()], 'x': 1}}\n"
        "class Client: pass\nclient = Client()\nclient.key = token\n"
        "encoded = base64.b64encode(token.encode()).decode()\n"
        "def call(): return token[::-1]\n"
        "basic = base64.b64encode(f'user:{token}'.encode())\ndel a, b"
    )
    saved = _hibernate(first)
    assert set(saved.names) >= {"token", "config", "client", "encoded"}
    assert saved.lost.keys() == {"basic"}
    assert "secret KEY" in saved.lost["basic"]
    assert VALUE.encode() not in _saved_bytes(first)
    first.plane.tell(Stop())
    new = "hf_another-value-than-before"
    second = start(session="s", env={"KEY": new}, secret_keys=("KEY",), epoch=first.epoch)
    second.run(
        f"import base64\nn = {new[:9]!r} + {new[9:]!r}\n"
        "ok = [token == n, config['deep'] == [f'Bearer {n}!', n.encode()], config['x'], client.key == n,"
        " base64.b64decode(encoded).decode() == n, call() == n[::-1]]\ndel n"
    )
    assert second.namespace["ok"] == [True, True, 1, True, True, True]


def test_a_container_without_secrets_asks_nothing(start: Start) -> None:
    """Texts travel and are saved as they are."""
    container = start(env=ENV)
    container.run(f"token = {VALUE!r}\nprint(token)")
    assert container.namespace["token"] == VALUE
    assert container.text() == VALUE + "\n"


def test_a_beginning_is_shown_after_a_pause(secretive: Any) -> None:
    """A prompt without a line's end that looks like the beginning of a value is not held until the cell ends."""
    secretive.submit(f"import time\nprint('{VALUE[:2]}', end='', flush=True)\nwhile True: time.sleep(0.01)")
    shown = secretive.plane.messages.get(timeout=20)
    while shown.type != "stream":
        shown = secretive.plane.messages.get(timeout=20)
    assert shown.content == {"name": "stdout", "text": VALUE[:2]}
