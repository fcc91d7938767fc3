"""The forms of an HTML page, as a browser without JavaScript would submit them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Form:
    """A form: where it goes, how, and the fields it has with their preset values."""

    action: str
    method: str = "POST"
    fields: dict[str, str] = field(default_factory=dict)

    def filled(self, **values: str) -> dict[str, str]:
        """The submission with these fields filled in."""
        return {**self.fields, **values}


class _FormReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(given.get("action", ""), given.get("method", "GET").upper())
            self.forms.append(self._open)
        elif self._open is not None and tag in ("input", "button", "select", "textarea"):
            self._add(self._open, tag, given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None

    @staticmethod
    def _add(form: Form, tag: str, given: dict[str, str]) -> None:
        name = given.get("name", "")
        unchecked = given.get("type") in ("checkbox", "radio") and "checked" not in given
        # Of several submit buttons with one name, the first is the one that a shopper presses.
        pressed_other = (tag == "button" or given.get("type") == "submit") and name in form.fields
        if name and not unchecked and not pressed_other:
            form.fields[name] = given.get("value", "")


def forms_of(page: str) -> list[Form]:
    """All forms of a page in the order of the page."""
    reader = _FormReader()
    reader.feed(page)
    return reader.forms
