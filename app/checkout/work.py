"""Lists of work that a job goes through: what fails is put off, and never stands before the rest.

A list is a query, oldest due first, that leaves out what was put off. An item that fails comes
back after a pause that doubles, up to hours; a provider that is down is asked again at the next
turn, and keeps nobody else's items waiting.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final, Generic, TypeVar, get_args

from app.checkout.providers.protocol import ProviderPaused, ProviderUnavailable
from app.checkout.signals import Signals
from app.checkout.store import Store
from app.kernel.clock import Clock
from app.kernel.errors import Unavailable
from telemetry.catalogue.checkout import WorkKind

Item = TypeVar("Item")

WORK_KINDS: Final[tuple[WorkKind, ...]] = get_args(WorkKind)

FIRST_PAUSE: Final = timedelta(seconds=2)
LONGEST_PAUSE: Final = timedelta(hours=6)
LONGEST_OUTAGE_PAUSE: Final = timedelta(minutes=2)
"""An answer that did not come may be the provider's fault: such an item is not put off for long."""

SILENCES: Final = 3
"""So many items in a row without an answer mean the provider is down, not the items odd."""


class WorkList(Generic[Item]):
    """One kind of work; `id_of` names an item."""

    def __init__(
        self,
        kind: WorkKind,
        id_of: Callable[[Item], str],
        store: Store,
        signals: Signals,
        clock: Clock,
    ) -> None:
        self.kind: Final = kind
        self._id_of = id_of
        self._store = store
        self._signals = signals
        self._clock = clock
        self._put_off: set[str] = set()

    async def each(self, items: Sequence[Item], do: Callable[[Item], Awaitable[object]]) -> int:
        """Do it for each item; returns how many said that they are done.

        Raises `Unavailable` when something that all items need is away.
        """
        done = silences = 0
        for item in items:
            item_id = self._id_of(item)
            try:
                done += bool(await do(item))
            except ProviderPaused:
                break
            except ProviderUnavailable as error:
                silences += 1
                await self._put_it_off(item_id, error, LONGEST_OUTAGE_PAUSE)
                if silences == SILENCES:
                    break
                continue
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one must not stop the rest
                await self._put_it_off(item_id, error, LONGEST_PAUSE)
            else:
                await self._done_with(item_id)
            silences = 0
        return done

    async def _put_it_off(self, item_id: str, error: Exception, longest: timedelta) -> None:
        def pause(attempts: int) -> timedelta:
            return min(FIRST_PAUSE * (1 << min(attempts, 20)), longest)

        attempts = await self._store.put_off(self.kind, item_id, self._clock.now(), pause)
        self._put_off.add(item_id)
        self._signals.work_put_off(self.kind, item_id, attempts=attempts, error=error)

    async def _done_with(self, item_id: str) -> None:
        if item_id in self._put_off:
            self._put_off.discard(item_id)
            await self._store.forget_work(self.kind, item_id)
