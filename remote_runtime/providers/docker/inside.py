"""Where things of ours appear in every container, and what it is allowed: names that both its parts agree on."""

from __future__ import annotations

from typing import Final

OWN: Final = "/cellburst/own"  # its log, how it ended, where it is told what it is: not for its cells
LIB: Final = "/cellburst/lib"  # our packages
DOOR: Final = "/cellburst/door"  # the control plane's socket
SESSION: Final = "/cellburst/session"  # what outlives the container
ARENA: Final = "/cellburst/arena"
HOME: Final = "/home/cell"
FOLDERS: Final = ("work", "modules", "run", "state", "tmp", "home")  # of a session
DOOR_SOCKET: Final = "told.sock"
EXIT_FILE: Final = "exit.json"
LOG_FILE: Final = "agent.log"

ENCLOSED: Final = "remote_runtime.agent.enclosed"
BOOT: Final = "remote_runtime.agent.boot"

COVERING: Final = ("tmp", "home")  # of these, what appears in the place of something the image has

# Of root's capabilities the supervisor keeps what it takes to let cells be somebody else, and to end what they leave.
# It drops the rest, the agent drops these too, and in a cell there is none.
CAPABILITIES: Final = ("SETUID", "SETGID", "KILL")

# Folders of an image that no working directory may cover.
SYSTEM: Final = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr", "/var")
