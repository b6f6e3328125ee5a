"""Every error a user can meet, as one tree.

    CellburstError
    ├── BadRequest              what was asked for cannot be understood
    │   ├── BadOption           a magic's or a command's option
    │   ├── BadImage            an image recipe that can never build
    │   └── PythonMismatch      notebook and image speak different pickles
    ├── NotFound                a volume, secret, session, image or file that is not there
    ├── Conflict                it is there already, or in use
    ├── NoCapacity              no card like that here, or none free
    ├── BuildFailed             the image's build said no
    ├── StartFailed             the container did not start
    ├── Unauthorized            no token, or one that is not known
    ├── Forbidden               a token that may not do this
    ├── TooLarge                over a named limit
    ├── RuntimeUnreachable      nothing answers at the runtime's address
    ├── RuntimeMismatch         the runtime speaks another protocol
    ├── StoreUnavailable        the runtime's own database does not answer
    ├── SessionLost             the container went away under the cell
    ├── CellTimeoutError        the cell ran longer than its --timeout
    ├── CredentialHeldBack      a value that looks like a credential was about to travel
    ├── CannotTravel            a value that cannot be pickled
    └── RemoteValueError        a handle was used as if its value were here

Each class has a code, which is what crosses HTTP, and a hint, which says what to do next.
"""

from __future__ import annotations

from typing import ClassVar, Final


class CellburstError(Exception):
    """Something between the notebook and the remote side failed."""

    code: ClassVar[str] = "error"
    hint: ClassVar[str] = ""

    def __init__(self, detail: str = "") -> None:
        self.detail = detail or (self.__doc__ or "").strip()
        super().__init__(" ".join(part for part in (self.detail, self.hint) if part))


class BadRequest(CellburstError):
    """What was asked for cannot be understood."""

    code = "bad_request"


class BadOption(BadRequest):
    """An option has a value it cannot take."""

    code = "bad_option"


class BadImage(BadRequest):
    """The image recipe cannot be built here."""

    code = "bad_image"


class PythonMismatch(BadRequest):
    """The notebook and the image run different Python versions."""

    code = "python_mismatch"


class NotFound(CellburstError):
    """There is nothing of that name."""

    code = "not_found"


class Conflict(CellburstError):
    """It exists already or is in use."""

    code = "conflict"


class NoCapacity(CellburstError):
    """No card like that is free."""

    code = "no_capacity"


class BuildFailed(CellburstError):
    """The image did not build."""

    code = "build_failed"


class StartFailed(CellburstError):
    """The container did not start."""

    code = "start_failed"


class Unauthorized(CellburstError):
    """The runtime does not know this token."""

    code = "unauthorized"
    hint = "Connect again with `%gpu_connect URL` and a token from `cellburst token create`."


class Forbidden(CellburstError):
    """This token may not do that."""

    code = "forbidden"


class TooLarge(CellburstError):
    """It is larger than the limit."""

    code = "too_large"


class RuntimeUnreachable(CellburstError):
    """No runtime answers."""

    code = "runtime_unreachable"


class RuntimeMismatch(CellburstError):
    """The runtime speaks another version of the protocol."""

    code = "runtime_mismatch"


class StoreUnavailable(CellburstError):
    """The runtime's database does not answer."""

    code = "store_unavailable"
    hint = "Try again; the runtime goes on as soon as it is back."


class SessionLost(CellburstError):
    """The container went away while the cell ran."""

    code = "session_lost"


class CellTimeoutError(CellburstError, TimeoutError):
    """The cell ran longer than its time limit."""

    code = "cell_timeout"


class CredentialHeldBack(CellburstError):
    """A value that looks like a credential was about to travel."""

    code = "credential_held_back"


class CannotTravel(CellburstError):
    """A value cannot be sent."""

    code = "cannot_travel"


class RemoteValueError(CellburstError):
    """The value lives remotely."""

    code = "remote_value"


def _family(root: type[CellburstError]) -> list[type[CellburstError]]:
    """Return the class and everything below it."""
    return [root, *(member for child in root.__subclasses__() for member in _family(child))]


BY_CODE: Final = {kind.code: kind for kind in _family(CellburstError)}

# The one table from an error's code to HTTP; a code that is not here is a 500.
HTTP_STATUS: Final = {
    "bad_request": 400,
    "bad_option": 400,
    "bad_image": 400,
    "python_mismatch": 400,
    "build_failed": 422,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "too_large": 413,
    "no_capacity": 503,
    "start_failed": 503,
    "store_unavailable": 503,
}


def error_from(code: str, detail: str) -> CellburstError:
    """Make the error a reply stood for; an unknown code is still a CellburstError."""
    kind = BY_CODE.get(code, CellburstError)
    return kind(detail.removesuffix(kind.hint).rstrip() if kind.hint else detail)
