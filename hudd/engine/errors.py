"""What can go wrong while the engine reads a picture. A picture that cannot be decoded is ``hudd.errors.PictureError``.

HuddError
 └── ReaderError            the reading process could not answer
      ├── ReaderCrashedError   it ended in the middle of a request
      ├── ReaderOverrunError   it was stopped because it took too long
      └── ReaderClosedError    asked after close()
"""

from __future__ import annotations

from hudd.errors import HuddError


class ReaderError(HuddError):
    """Raised when the reading process could not answer."""


class ReaderCrashedError(ReaderError):
    """Raised when the reading process ended in the middle of a request; the next request starts a new one."""


class ReaderOverrunError(ReaderError):
    """Raised when the reading process was stopped because it took far longer than its budget."""


class ReaderClosedError(ReaderError):
    """Raised when a picture is handed to a reader that was closed."""
