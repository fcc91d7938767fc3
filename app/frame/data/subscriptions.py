"""How a consumer asks another service for its facts, and tells it what it has stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from app.frame.data.histories import Parted, Read
from app.frame.data.outbox import Mark
from app.frame.data.undigested import Wire

LONGEST_ID: Final = 80
_NOT_THERE: Final = frozenset({404, 405})


@dataclass(frozen=True, slots=True)
class Heard:
    """Events as a source sent them, and its epoch; None from a version before."""

    wires: Sequence[Wire]
    epoch: str | None


class Subscription:
    """One consumer's way to one source. All calls raise what httpx raises, and `Parted`."""

    def __init__(self, name: str, source: str, client: httpx.AsyncClient) -> None:
        self._name = name
        self._source = source
        self._client = client
        self._acknowledged: int | None = None

    async def after(self, mark: Mark, *, limit: int) -> Heard:
        """What follows a mark: all of it, since positions are gapless."""
        body = await self._ask(mark, limit)
        items: list[Wire] = body["items"]
        positions = [item["sequence"] for item in items]
        if [type(position) for position in positions] != [int] * len(items):
            raise TypeError("an event without a position: nobody can say where to go on")
        epoch = body.get("epoch")
        if positions != [mark.position + number + 1 for number in range(len(items))]:
            raise Parted(
                f"{self._source} has no longer all that follows {mark.position}",
                epoch=epoch or "",
                restated=bool(body.get("restated")),
            )
        return Heard(items, epoch)

    async def stands(self, after: int, limit: int) -> list[Read]:
        """What stands after a position, whoever has read what; nothing beyond the head."""
        try:
            found = (await self._ask(Mark(after), limit))["items"]
        except Parted:
            return []
        return [(wire["sequence"], id_of(wire)) for wire in found]

    async def acknowledge(self, mark: Mark) -> None:
        """Tell the source what may be pruned; one of the version before took it from our asking."""
        if self._acknowledged == mark.position:
            return
        answer = await self._client.post(
            f"/internal/{self._source}/acknowledgements",
            json={"position": mark.position, "last": mark.event_id, "epoch": mark.epoch},
        )
        if answer.status_code not in _NOT_THERE:
            _answered(answer)
        self._acknowledged = mark.position

    async def _ask(self, mark: Mark, limit: int) -> dict[str, Any]:
        parameters: dict[str, str | int] = {
            "consumer": self._name,
            "after": mark.position,
            "limit": limit,
        }
        if mark.position and mark.event_id is not None:
            parameters["last"] = mark.event_id
        if mark.epoch is not None:
            parameters["epoch"] = mark.epoch
        path = f"/internal/{self._source}/events"
        body: dict[str, Any] = _answered(await self._client.get(path, params=parameters)).json()
        return body


def id_of(wire: Wire) -> str | None:
    """The id of an event, if it is one that can be kept."""
    found = wire.get("id")
    return found if isinstance(found, str) and len(found) <= LONGEST_ID else None


def _answered(response: httpx.Response) -> httpx.Response:
    """An answer that is a success."""
    if response.status_code == 409:
        problem = response.json()
        raise Parted(
            str(problem["detail"]),
            epoch=str(problem["epoch"]),
            restated=bool(problem["restated"]),
            knows=int(problem["knows"]),
        )
    return response.raise_for_status()
