"""The logbook: which lines it finds, in which order, and what it refuses to read."""

from __future__ import annotations

import json
from pathlib import Path

from kernel_bridge.logs import line_of, text_of
from kernel_bridge.protocol.logs import LogLine
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.observability.logbook import READ_BYTES, Logbook, Question


class Host:
    """The folders a control plane writes to."""

    def __init__(self, folder: Path) -> None:
        self.own = folder / "logs" / "runtime.jsonl"
        self.zygotes = folder / "zygotes"
        self.containers = folder / "sessions" / "ses_1" / "containers"
        self.log = self.containers / "ctr_1" / "agent.log"
        for directory in (self.own.parent, self.zygotes, self.log.parent):
            directory.mkdir(parents=True)

    def read(self, **asked: object) -> list[LogLine]:
        question = Question(session_id="ses_1", **asked)  # type: ignore[arg-type]
        return Logbook(self.own, self.zygotes).read(
            question, self.containers, lambda text: text.replace("hunter2", "*")
        )


def write(path: Path, *lines: LogLine) -> None:
    path.write_text("".join(line_of(line) + "\n" for line in lines))


def said(at_s: float, message: str, **ids: str) -> LogLine:
    return LogLine(at_s=at_s, message=message, **ids)  # type: ignore[arg-type]


def test_lines_of_all_processes_come_in_order(tmp_path: Path) -> None:
    """The control plane's, the zygote's of this container, the container's; nobody else's."""
    host = Host(tmp_path)
    write(
        host.own,
        said(1, "placed", session_id="ses_1"),
        said(4, "cell ended", session_id="ses_1"),
        said(2, "other", session_id="ses_2"),
        said(2, "tick"),
    )
    write(host.zygotes / "a.log", said(2, "forked", container_id="ctr_1"), said(2, "forked", container_id="ctr_9"))
    write(host.log, said(3, "cell began"))
    found = host.read()
    assert [line.message for line in found] == ["placed", "forked", "cell began", "cell ended"]
    assert (found[2].session_id, found[2].container_id) == ("ses_1", "ctr_1")


def test_one_cell_and_one_level_can_be_asked_for(tmp_path: Path) -> None:
    """And the newest lines only."""
    host = Host(tmp_path)
    write(
        host.log,
        *(said(number, f"line {number}", cell_id="c1" if number % 2 else "c2") for number in range(10)),
        LogLine(at_s=10, level="error", message="bad", cell_id="c1"),
    )
    assert [line.message for line in host.read(cell_id="c1", lines=2)] == ["line 9", "bad"]
    assert [line.message for line in host.read(level="warning")] == ["bad"]


def test_a_secret_is_struck_and_a_traceback_shown(tmp_path: Path) -> None:
    """What a library wrote between our lines keeps its place."""
    host = Host(tmp_path)
    write(host.log, said(1, "before"))
    with host.log.open("a") as log:
        log.write("ValueError: hunter2\n" + line_of(said(2, "after")) + "\n")
    assert [line.message for line in host.read()] == ["before", "ValueError: *", "after"]


def test_a_line_that_json_cannot_say_is_shown_as_text(tmp_path: Path) -> None:
    """User code may have written it: one line must not hide the others."""
    host = Host(tmp_path)
    write(host.log, said(1, "before"))
    with host.log.open("a") as log:
        log.write('{"at_s": 2, "fields": {"loss": NaN}}\n{"at_s": 1e300, "message": "later"}\n')
    found = host.read()
    assert [line.message for line in found] == ["before", '{"at_s": 2, "fields": {"loss": NaN}}', "later"]
    json.dumps(to_wire(found), allow_nan=False)
    assert text_of(found[-1]).startswith("--:--:--.---")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """It could lead to what whoever asks may not read."""
    host = Host(tmp_path)
    (tmp_path / "private").write_text("root:x:0:0\n")
    host.log.symlink_to(tmp_path / "private")
    assert host.read() == []


def test_only_the_end_of_a_large_file_is_read(tmp_path: Path) -> None:
    """From a line's beginning on."""
    host = Host(tmp_path)
    line = line_of(said(1, "x" * 1000))
    host.log.write_text((line + "\n") * (2 * READ_BYTES // len(line)) + line_of(said(2, "last")) + "\n")
    found = host.read(lines=5000)
    assert found[-1].message == "last"
    assert {len(line.message) for line in found} == {1000, 4}
    assert READ_BYTES * 0.9 < sum(len(line_of(line)) for line in found) < READ_BYTES * 1.2
