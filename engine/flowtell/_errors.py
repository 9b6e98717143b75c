"""What flowtell raises on purpose.

The tree::

    FlowtellError
    ├── BundleError      a bundle cannot be used: missing, altered, malformed, or of another format
    ├── ProviderError    no inference runtime is usable, or it failed while it ran a graph
    ├── DecodeError      a media file cannot be read, or not to its end (carries `state`)
    ├── IsolationError   no process that decodes videos can be started here
    └── InputError       an argument of the caller is out of range or of the wrong type or shape

Every message is one sentence that says what is wrong and, where something can be done, what to do.
Anything else that comes out of flowtell is a bug in flowtell.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BundleError",
    "DecodeError",
    "FlowtellError",
    "InputError",
    "IsolationError",
    "ProviderError",
    "shortened",
]

_SHOWN_CHARACTERS = 200
"""Of a name in a sentence: a hostile one may be as long as its file."""


class FlowtellError(Exception):
    """The root of every error that flowtell raises on purpose."""


class BundleError(FlowtellError):
    """A bundle cannot be used: missing, altered, malformed, or of a format this version does not read."""


class ProviderError(FlowtellError):
    """No inference runtime can do what was asked, or it failed while it ran a graph."""


class DecodeError(FlowtellError):
    """A media file cannot be read, or not to its end.

    Attributes:
        state: what `Result.state` becomes: `undecodable`, `truncated`, `too_large` or `timed_out`.
    """

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        """Have it pickled with both arguments: an exception keeps those of its base class only."""
        return type(self), (self.state, str(self))


class IsolationError(FlowtellError):
    """No process that decodes videos can be started here, so none is opened."""


class InputError(FlowtellError, ValueError):
    """An argument of the caller is out of range, or of the wrong type or shape."""


def shortened(text: str) -> str:
    """Return `text` for a sentence: what is longer than 200 characters is cut and ends in three points."""
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
