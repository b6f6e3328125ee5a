"""Credentials are known by the form of their value."""

from __future__ import annotations

import pytest

from kernel_bridge.capture.credentials import held_back, looks_like_credential


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", "ghp_" + "a1B2" * 9),
        ("x", "AKIA" + "ABCD1234EFGH5678"),
        ("x", b"sk-proj-" + b"a1B2c3D4" * 4),
        ("x", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"),
        ("x", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mBQ"),
        ("api_key", "f3A9k2Lq8ZxW1vB7nM4c"),
        ("DB_PASSWORD", "tR7!kd92Lm#qPz81"),
    ],
)
def test_held_back(name: str, value: object) -> None:
    """Known forms are found under any name, random texts under a telling name."""
    assert looks_like_credential(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_key", "changeme"),
        ("token", "the quick brown fox jumps"),
        ("tokens", ["a", "b"]),
        ("key", "user_id"),
        ("password", None),
        ("digest", "f3A9k2Lq8ZxW1vB7nM4c"),
        ("text", "ask-me-anything-about-this-thing"),
        ("secret_path", "/home/me/keys/2024/secret1.txt"),
        ("keyboard", "f3A9k2Lq8ZxW1vB7nM4c"),
    ],
)
def test_not_held_back(name: str, value: object) -> None:
    """A name alone holds nothing back, and neither does a random text under another name."""
    assert looks_like_credential(name, value) is None


def test_held_back_names_the_reasons() -> None:
    """The mapping holds only what is held back."""
    assert held_back({"a": 1, "hub": "hf_" + "abcdefghij" * 3}) == {"hub": "a Hugging Face token"}
