"""Group commit: what waits at the same time is written together, in one transaction.

While one batch is written the next one gathers, so that a lone caller never waits for company and
sixteen at once share one round trip and one flush to disk.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Final, Generic, TypeVar

from app.frame.data.patience import PATIENCE

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST: Final = 16
"""Items of one batch: more gain little and make the first one wait for the last one."""


class BatchFailed(Exception):
    """The batch that an item was in failed: whether the item took effect is not known."""


class LineDown(Exception):
    """Raised by `run` when no batch can be written now: those that wait need not try."""


_Place = tuple[Item, "asyncio.Future[Result]", float]
"""An item, who waits for it, and until when (seconds of the loop's clock)."""


class Batches(Generic[Item, Result]):
    """Runs items in batches, one batch at a time.

    `run` gets up to `MOST` items and returns their results in the same order. `apart` names what
    two items of one batch must not share (a car, a key): the later one waits for the next batch.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        apart: Callable[[Item], Iterable[Hashable]] = lambda _: (),
    ) -> None:
        self._run = run
        self._apart = apart
        self._waiting: deque[_Place[Item, Result]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def do(self, item: Item) -> Result:
        """The item's result; raises `BatchFailed` when its batch failed as a whole.

        An item whose request has no patience left when its turn comes is not run, and fails alone.
        """
        loop, patience = asyncio.get_running_loop(), PATIENCE.get()
        future: asyncio.Future[Result] = loop.create_future()
        began = loop.time()
        until = math.inf if patience is None else began + patience.seconds
        self._waiting.append((item, future, until))
        if self._task is None or self._task.done():
            # In a context of its own: a batch belongs to no single request's span.
            self._task = loop.create_task(self._drain(), context=contextvars.Context())
        try:
            return await future
        finally:
            if patience is not None:
                patience.seconds -= loop.time() - began

    async def _drain(self) -> None:
        while True:
            await asyncio.sleep(0)  # whoever was read in this turn of the loop comes along
            batch = self._take()
            if not batch:
                # "Nothing waits" and "nobody drains" are decided with no await between.
                self._task = None
                return
            try:
                results = await self._run([item for item, _, _ in batch])
                for (_, future, _), result in zip(batch, results, strict=True):
                    if not future.done():  # its request may have been cancelled meanwhile
                        future.set_result(result)
            except BaseException as error:  # whoever waits decides what it means
                if isinstance(error, LineDown) or not isinstance(error, Exception):
                    batch += self._waiting
                    self._waiting.clear()
                for _, future, _ in batch:
                    if not future.done():
                        failure = BatchFailed(type(error).__name__)
                        failure.__cause__ = error
                        future.set_exception(failure)
                if not isinstance(error, Exception):
                    raise

    def _take(self) -> list[_Place[Item, Result]]:
        taken: list[_Place[Item, Result]] = []
        left: list[_Place[Item, Result]] = []
        shared: set[Hashable] = set()
        now = asyncio.get_running_loop().time()
        while self._waiting and len(taken) < MOST:
            place = self._waiting.popleft()
            item, future, until = place
            if future.done():
                continue  # nobody waits for it any more
            if until < now:
                future.set_exception(BatchFailed("it waited for too long"))
                continue
            marks = set(self._apart(item))
            if marks & shared:
                left.append(place)
            else:
                taken.append(place)
            shared |= marks  # also those left: order between items that share something is kept
        self._waiting.extendleft(reversed(left))
        return taken
