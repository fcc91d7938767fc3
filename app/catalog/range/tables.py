"""Reading of the range's TOML files; every fault names file, entry and field."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo

T = TypeVar("T")
Kind = TypeVar("Kind", bound=BaseModel)

Several = Annotated[tuple[T, ...], Field(strict=False)]
"""A list of the file."""

Share = Annotated[float, Field(ge=0, le=1)]


class RangeError(ValueError):
    """The shipped data is wrong: the sentence names the file, the entry and the field."""


class Shipped(BaseModel):
    """A table of the files: exactly these fields, of exactly these types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def like(pattern: str, what: str) -> AfterValidator:
    """A text of one form; `what` is the end of the sentence "must be …"."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {what}, not {value!r}")
        return value

    return AfterValidator(check)


Text = Annotated[str, like(r"(?s)(?=.*\S).*", "a text")]


def known(name: str) -> Callable[[Any, ValidationInfo], Any]:
    """Looks up codes in what `read` was given as `name`: a list becomes what it names."""

    def look(value: Any, info: ValidationInfo) -> Any:
        found: Mapping[str, Any] | None = (info.context or {}).get(name)
        if found is None or not isinstance(value, str | list):
            return value
        if isinstance(value, str):
            if value not in found:
                raise ValueError(f"must be one of {', '.join(sorted(found))}, not {value!r}")
            return value
        for code in value:
            if code not in found:
                raise ValueError(f"names {code!r}, which does not exist")
        if len(set(value)) != len(value):
            raise ValueError("names something twice")
        return tuple(found[code] for code in value)

    return look


def exactly(names: tuple[str, ...], given: Mapping[str, object], field: str) -> None:
    """Refuse a table that lacks one of `names` or has another."""
    for name in names:
        if name not in given:
            raise ValueError(f"{field}: {name}: is missing")
    for name in given:
        if name not in names:
            raise ValueError(f"{field}: {name}: is not a field of this table")


def read(kind: type[Kind], path: Path, **context: Any) -> Kind:
    """Read one TOML file; `context` is what `known` looks at. Any fault is a `RangeError`."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RangeError(f"{path.name}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RangeError(f"{path.name}: is not valid TOML: {error}") from error
    try:
        return kind.model_validate(values, context=context | {"file": path.name})
    except ValidationError as error:
        fault = error.errors()[0]
        where = _where(values, fault["loc"])
        raise RangeError(": ".join((path.name, *where, _problem(fault)))) from error


def _where(values: Any, steps: tuple[int | str, ...]) -> list[str]:
    """The entry and the field; an entry of a list is called by its code."""
    entry, field = str(values.get("model_id", "file")), list[str]()
    for step in steps:
        values = _within(values, step)
        if isinstance(step, str):
            field.append(step)
        elif isinstance(values, dict):
            code = values.get("code", values.get("dealer_id", f"number {step + 1}"))
            entry, field = f"{field[-1]} {code}", []
    return [entry, *field]


def _within(values: Any, step: int | str) -> Any:
    if isinstance(values, list) and isinstance(step, int):
        return values[step]
    return values.get(step) if isinstance(values, dict) else None


_PROBLEMS = {"missing": "is missing", "extra_forbidden": "is not a field of this table"}


def _problem(fault: Any) -> str:
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    must = re.sub(r"^\w+ should", "must", fault["msg"]).replace("a valid tuple", "a list")
    return _PROBLEMS.get(fault["type"], f"{must}, not {fault['input']!r}")
