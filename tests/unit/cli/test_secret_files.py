"""Secrets from files: what `.env` files hold, and what is said of those that hold something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel_bridge.cli.secret_files import from_dotenv, from_json
from kernel_bridge.errors import BadOption, NotFound


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1\nB = two words \n", {"A": "1", "B": "two words"}),
        ("# said\n\nexport A=x # why\nA=y#z", {"A": "y#z"}),
        ('A="a\\nb \\"q\\" # c" # d\nB=\'$A \\n\'\nC=', {"A": 'a\nb "q" # c', "B": "$A \\n", "C": ""}),
        ('KEY="-----BEGIN\nline\n-----END"\r\nB=1\r\n', {"KEY": "-----BEGIN\nline\n-----END", "B": "1"}),
        ("\ufeffA=ä=b==\n", {"A": "ä=b=="}),
        ("A=#nothing\nB=' '", {"A": "", "B": " "}),
    ],
)
def test_a_dotenv_file_is_read(tmp_path: Path, text: str, values: dict[str, str]) -> None:
    """Comments, quotes, escapes, values of several lines, what editors put there."""
    (tmp_path / ".env").write_bytes(text.encode())
    assert from_dotenv(tmp_path / ".env") == values


@pytest.mark.parametrize("text", ["A=1\nhunter2\n", "A=1\n1B=hunter2", 'A=1\nB="hunter2', "A=1\nB='hunter2' more"])
def test_the_line_that_is_wrong_is_named_and_not_repeated(tmp_path: Path, text: str) -> None:
    """It may be the value itself."""
    (tmp_path / ".env").write_text(text)
    with pytest.raises(BadOption, match="line 2") as caught:
        from_dotenv(tmp_path / ".env")
    assert "hunter2" not in str(caught.value)


def test_a_json_file_is_an_object_of_texts(tmp_path: Path) -> None:
    """Anything else is refused by its key."""
    path = tmp_path / "s.json"
    path.write_text('{"A": "1", "B": "ä"}')
    assert from_json(path) == {"A": "1", "B": "ä"}
    for text, said in (('["hunter2"]', "object"), ('{"A": 2}', "'A' is no text"), ("hunter2", "not JSON")):
        path.write_text(text)
        with pytest.raises(BadOption, match=said) as caught:
            from_json(path)
        assert "hunter2" not in str(caught.value)
    with pytest.raises(NotFound):
        from_json(tmp_path / "gone")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(BadOption, match="UTF-8"):
        from_dotenv(tmp_path / "bytes")
