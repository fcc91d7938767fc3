"""What can go wrong in the advisor."""

from __future__ import annotations

from app.kernel.errors import Unavailable


class ShowroomEmpty(Unavailable):
    """The catalogue has not been read yet: there is nothing to advise from."""
