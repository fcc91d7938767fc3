"""Read once, decide once, write once if the car is as it was seen.

A rule is a pure function of what was seen and a moment. It returns a `Change`, which ends in its
answer. That is written in one statement, if nothing has happened to the car since; if something
has, the rule looks again and decides anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final, Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy import Table

from app.checkout.idempotency import LOCK, Claim, Replay, StoredAnswer, judged
from app.checkout.looks import TABLES, KeyLook, Look, Seen
from app.checkout.models import IDEMPOTENCY
from app.checkout.rows import Car, Hold, Key, Order, Payment, Purchase
from app.checkout.signals import Effect, Signals
from app.frame.data.batches import BatchFailed
from app.frame.data.patience import is_exhausted
from app.kernel.clock import Clock
from app.kernel.errors import Unavailable, VitrineError
from app.kernel.facts import EventContext, Fact

Answer = TypeVar("Answer")
Sight = TypeVar("Sight")
Row = TypeVar("Row", Car, Hold, Order, Payment)

ROUNDS: Final = 12
"""Each lost one means that somebody else's change was written."""
FAILURES: Final = 2
"""So often it is tried although the database did not answer."""
FORESEEN: Final = 2_000
"""Sights that are kept for whoever comes next: some megabytes."""


class Busy(Unavailable):
    """The car is fought over, or the database does not answer: nothing was changed."""


@dataclass(slots=True)
class Put:
    """A new row."""

    table: Table
    values: Mapping[str, Any]
    by: ClassVar[str] = ""
    key: ClassVar[str] = ""


@dataclass(slots=True)
class Set:
    """New values in the rows whose column `by` is `key`: the one that was seen."""

    table: Table
    by: str
    key: str
    values: dict[str, Any]


@dataclass(slots=True)
class End:
    """A row that is deleted by its primary key, the column `by`."""

    table: Table
    by: str
    key: str
    values: ClassVar[Mapping[str, Any]] = {}


class Room(NamedTuple):
    """A new hold needs room: less than `of_session` held by its session, likewise its address."""

    session: str
    address: str
    of_session: int
    of_address: int


@dataclass(slots=True)
class Change(Generic[Answer]):
    """All that happens, or nothing; `answer` is what is said when it has happened.

    It stands if `car` is as it was seen and its `event` and its `key` are not taken. Without a car
    nothing happens to one: what was said is stored under its `key`, and facts are stated. Without
    both there is nothing to do.
    """

    car: Car | None
    answer: Answer
    event: Put | None = None
    """The provider's message that causes it: one that is known already changes nothing."""
    key: Put | Set | None = None
    room: Room | None = None
    sets: dict[tuple[str, str], Set] = field(default_factory=dict)
    puts: list[Put] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    facts: list[tuple[Fact, EventContext]] = field(default_factory=list)
    foreseen: tuple[Look[Any], Seen[Any]] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do, only something to say."""
        return self.car is None and self.key is None

    def put(self, table: Table, **values: Any) -> None:
        self.puts.append(Put(table, values))

    def add(self, row: Hold | Order | Payment) -> None:
        self.puts.append(Put(TABLES[type(row)], row._asdict()))

    def set(self, row: Car | Hold | Order | Payment, **values: Any) -> None:
        """Set columns of a row that was seen; the same row may be set several times."""
        self.set_by(TABLES[type(row)], row._fields[0], row[0], **values)

    def set_by(self, table: Table, by: str, key: str, **values: Any) -> None:
        entry = self.sets.get((table.name, key))
        if entry is None:
            self.sets[table.name, key] = Set(table, by, key, values)
        else:
            entry.values |= values

    def end(self, table: Table, key: str) -> None:
        self.ends.append(End(table, table.primary_key.columns[0].name, key))

    def say(self, context: EventContext, *facts: Fact) -> None:
        self.facts += [(fact, context) for fact in facts]

    def after(self, row: Row) -> Row:
        """A row that was seen as it is when this has happened."""
        entry = self.sets.get((TABLES[type(row)].name, row[0]))
        values = {} if entry is None else entry.values
        if row is self.car:
            values = {**values, "version": self.car.version + 1}
        return row._replace(**values)

    def foresee(self, look: Look[Sight], sight: Sight, key: Key | None = None) -> None:
        """Say what there will be to see when this has happened: it saves the next one's look."""
        self.foreseen = look, Seen(sight, key)

    def purchase_after(self, seen: Purchase) -> Purchase:
        return Purchase(
            self.after(seen.order),
            self.after(seen.payment),
            self.after(seen.hold),
            self.after(seen.car),
        )

    def keep(self, claim: Claim, key: Key | None, now: datetime, answer: StoredAnswer) -> None:
        """Store the answer under its key."""
        self._take(
            claim,
            key,
            now,
            status=answer.status,
            media_type=answer.media_type,
            body=answer.body,
        )

    def bind(self, claim: Claim, key: Key | None, now: datetime, resource_id: str) -> Key:
        """Take the key for a request that goes on, and name what it is making; the key's row."""
        self._take(claim, key, now, resource_id=resource_id)
        taken_at = now if key is None else key.created_at
        return Key(
            claim.key, claim.fingerprint, resource_id, None, None, None, taken_at, now + LOCK
        )

    def _take(self, claim: Claim, key: Key | None, now: datetime, **values: Any) -> None:
        if key is not None:
            values = {"locked_until": now + LOCK, **values}
            self.key = Set(IDEMPOTENCY, "key", key.key, values)
            return
        values |= {"created_at": now, "locked_until": now + LOCK}
        self.key = Put(IDEMPOTENCY, {"key": claim.key, "fingerprint": claim.fingerprint, **values})


def unchanged(answer: Answer) -> Change[Answer]:
    """An answer to which nothing needs to be done."""
    return Change(None, answer)


class Lines(Protocol):
    """The way to the database; both dialects offer it.

    Each verb raises `BatchFailed` when it failed as a whole, its outcome unknown.
    """

    async def look(self, look: Look[Sight]) -> Seen[Sight]:
        """What is committed now."""
        ...

    async def write(self, change: Change[Any]) -> bool:
        """Whether it was written: not when the car has changed, or event or key are taken."""
        ...

    async def close(self) -> None: ...


class Changes:
    """Looks, decides and writes over `lines`, and tells `signals` how that went."""

    def __init__(self, lines: Lines, signals: Signals, clock: Clock) -> None:
        self._lines = lines
        self._signals = signals
        self._clock = clock
        self._foreseen: dict[tuple[type, str], Seen[Any]] = {}

    async def seen(self, look: Look[Sight]) -> Sight | None:
        """What is so now, for whoever changes nothing. Raises `Busy`."""
        return await self.settled("read", look, unchanged)

    async def settled(
        self,
        name: Effect,
        look: Look[Sight],
        decide: Callable[[Sight | None], Change[Answer]],
    ) -> Answer:
        """What a rule decided, once that is so.

        Raises `Busy`, and what `decide` raises.
        """
        return await self.rounds(name, look, lambda seen: decide(seen.sight))

    async def once(
        self,
        name: Effect,
        look: Look[Sight],
        claim: Claim,
        decide: Callable[[Sight | None, Key | None], Change[Answer]],
    ) -> Answer | Replay:
        """The same for a request with an Idempotency-Key: its first answer, if there is one.

        `decide` gets the key of a request that never finished. Raises what `judged` raises too.
        """

        def judge(seen: Seen[Sight]) -> Change[Any]:
            begun = judged(seen.key, claim, self._clock.now())
            return unchanged(begun) if isinstance(begun, Replay) else decide(seen.sight, begun)

        answer: Answer | Replay = await self.rounds(name, look, judge)
        return answer

    async def rounds(
        self,
        name: Effect,
        look: Look[Sight],
        decide: Callable[[Seen[Sight]], Change[Answer]],
    ) -> Answer:
        """The same for a rule that looks at the key itself.

        An unknown outcome is the next round, in which event or key tell whether it was written.
        """
        failed: list[BatchFailed] = []
        decided = self._decided_unseen(look, decide)
        for _ in range(ROUNDS):
            try:
                decided = decided or decide(await self._lines.look(look))
                if decided.is_empty:
                    return decided.answer
                with self._signals.effect(name):
                    done = await self._lines.write(decided)
                self._signals.effect_answered(name, done=done)
                if done:
                    self._foresee(decided)
                    return decided.answer
            except BatchFailed as error:
                self._signals.effect_failed(name, error.__cause__)
                failed.append(error)
                # Another server may answer next, which never heard of what we wrote last.
                self._foreseen.clear()
                if len(failed) == FAILURES or is_exhausted():
                    break
            decided = None
        cause = failed[-1] if failed else None
        # A database that was not reached is not asked again before a second has gone by.
        raise Busy("Ask again in a moment.", retry_after_seconds=2 if failed else 1) from cause

    def _decided_unseen(
        self, look: Look[Sight], decide: Callable[[Seen[Sight]], Change[Answer]]
    ) -> Change[Answer] | None:
        """What a rule changes by what whoever was here last foresaw, which is then used up.

        Its guards tell whether it is still so. Nothing guards a refusal or an answer without a
        change: for those the rule looks.
        """
        about, key = look.about()
        seen = self._foreseen.get((type(look), about))
        if seen is None or (seen.key is not None and seen.key.key != key):
            return None
        try:
            decided = decide(seen)
        except VitrineError:
            return None
        if decided.is_empty:
            return None
        del self._foreseen[type(look), about]
        return decided

    def _foresee(self, written: Change[Any]) -> None:
        if written.foreseen is None:
            return
        look, seen = written.foreseen
        self._foreseen[type(look), look.about()[0]] = seen
        if len(self._foreseen) > FORESEEN:
            del self._foreseen[next(iter(self._foreseen))]

    async def keep(self, claim: Claim, refusal: StoredAnswer) -> None:
        """Store an error as the key's answer, unless it has another one meanwhile."""

        def decide(seen: Seen[None]) -> Change[None]:
            change, key = unchanged(None), seen.key
            if key is None or (key.status is None and key.fingerprint == claim.fingerprint):
                change.keep(claim, key, self._clock.now(), refusal)
            return change

        await self.rounds("refuse", KeyLook(claim.key), decide)

    async def let_go(self, claim: Claim) -> None:
        """Let a retry take over at once what a request with this key could not finish.

        If that cannot be written, its lock ends by itself.
        """

        def decide(seen: Seen[None]) -> Change[None]:
            change = unchanged(None)
            if seen.key is not None and seen.key.status is None:
                values = {"locked_until": self._clock.now()}
                change.key = Set(IDEMPOTENCY, "key", claim.key, values)
            return change

        with suppress(Busy):
            await self.rounds("refuse", KeyLook(claim.key), decide)

    async def close(self) -> None:
        await self._lines.close()
