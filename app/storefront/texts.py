"""What the shop says, by language: gettext catalogues read from `locale/` at start.

Message ids are the English texts, so English needs no catalogue. A message without a translation
is shown in English; a test keeps that from being shipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from babel.messages.pofile import read_po

LOCALE: Final = Path(__file__).parent / "locale"


@dataclass(frozen=True, slots=True)
class Texts:
    """Messages of one language. `plurals` maps a singular id to its (one, other) forms."""

    language: str
    messages: Mapping[str, str] = field(default_factory=dict)
    plurals: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def gettext(self, message: str) -> str:
        return self.messages.get(message) or _typeset(message)

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        one, other = self.plurals.get(singular) or (_typeset(singular), _typeset(plural))
        return one if number == 1 else other


def _typeset(text: str) -> str:
    """Message ids are typed with a straight apostrophe; a page shows the curved one."""
    return text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")


def load_texts(language: str, folder: Path = LOCALE) -> Texts:
    """The messages of a language; a language without a catalogue speaks the message ids."""
    path = folder / language / "LC_MESSAGES" / "storefront.po"
    if not path.exists():
        return Texts(language)
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language)
    messages: dict[str, str] = {}
    plurals: dict[str, tuple[str, str]] = {}
    for message in catalogue:
        if not message.id or message.fuzzy:
            continue
        if isinstance(message.id, str):
            if message.string:
                messages[message.id] = str(message.string)
        elif message.string and all(message.string):
            plurals[message.id[0]] = (message.string[0], message.string[-1])
    return Texts(language, messages, plurals)


def msg(text: str) -> str:
    """Mark a text in a table for translation; it is translated where it is shown."""
    return text
