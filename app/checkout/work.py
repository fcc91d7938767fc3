"""Lists of work that a job goes through: what fails is put off, and never stands before the rest.

A list is a query, oldest due first, that leaves out what was put off. An item that fails comes
back after a pause that doubles, up to hours; a provider that is down is asked again at the next
turn, and keeps nobody else's items waiting.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final, get_args

from app.checkout.providers.protocol import ProviderPaused, ProviderUnavailable
from app.checkout.signals import Signals
from app.checkout.store import Record, Store
from app.kernel.clock import Clock
from app.kernel.errors import Unavailable
from telemetry.catalogue.checkout import WorkKind

WORK_KINDS: Final[tuple[WorkKind, ...]] = get_args(WorkKind)

FIRST_PAUSE: Final = timedelta(seconds=2)
LONGEST_PAUSE: Final = timedelta(hours=6)
LONGEST_OUTAGE_PAUSE: Final = timedelta(minutes=2)
"""An answer that did not come may be the provider's fault: such an item is not put off for long."""

SILENCES: Final = 3
"""So many items in a row without an answer mean the provider is down, not the items odd."""


class WorkList:
    """One kind of work; `item_id` names an item by its row."""

    def __init__(
        self, kind: WorkKind, item_id: str, store: Store, signals: Signals, clock: Clock
    ) -> None:
        self.kind: Final = kind
        self._item_id = item_id
        self._store = store
        self._signals = signals
        self._clock = clock
        self._put_off: set[str] = set()

    async def each(self, items: Sequence[Record], do: Callable[[Record], Awaitable[object]]) -> int:
        """Do it for each item; returns how many said that they are done.

        Raises `Unavailable` when something that all items need is away.
        """
        done = silences = 0
        for item in items:
            item_id = str(item[self._item_id])
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
        now = self._clock.now()
        async with self._store.begin() as transaction:
            attempts = await transaction.put_off(self.kind, item_id, now)
            pause = min(FIRST_PAUSE * 2 ** min(attempts, 20), longest)
            await transaction.put_off_until(self.kind, item_id, now + pause)
        self._put_off.add(item_id)
        self._signals.work_put_off(self.kind, item_id, attempts=attempts, error=error)

    async def _done_with(self, item_id: str) -> None:
        if item_id in self._put_off:
            self._put_off.discard(item_id)
            async with self._store.begin() as transaction:
                await transaction.forget_work(self.kind, item_id)
