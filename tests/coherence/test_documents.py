"""What the documents name is there: commands, files, variables, addresses, metrics, alerts."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from app.advisor.settings import AdvisorSettings
from app.catalog.commands import commands as catalog
from app.catalog.settings import CatalogSettings
from app.checkout.commands import cli as checkout
from app.checkout.settings import CheckoutSettings
from app.frame.keys import SECRETS
from app.frame.settings import Budgets, PlatformSettings, ServiceAddresses, ServiceSettings
from app.insight.__main__ import cli as insight
from app.insight.settings import InsightSettings
from app.sandbox.settings import SandboxSettings
from app.storefront.settings import StorefrontSettings
from telemetry.catalogue import all_metrics
from tests.builders.applications import documents
from tests.builders.pages import code_in

ROOT = Path(__file__).resolve().parents[2]
TRACKED = subprocess.run(
    ["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True
).stdout.splitlines()
PAGES = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in TRACKED
    if name.endswith(".md") and name != "CHANGELOG.md"
}
CODE = "\n".join(
    (ROOT / name).read_text(encoding="utf-8")
    for name in TRACKED
    if Path(name).suffix in (".py", ".yml", ".toml", ".sh", ".example") or name == "Makefile"
    if ROOT / name != Path(__file__)
)
MADE = ("var/", "build/", "archive.json", "profile.md", "report.html", "verdict.json", "plan.json")
"""What programs write: in no commit."""

Named = Iterator[tuple[str, str]]
"""(page, what it names)."""


def spans() -> Named:
    """Everything that a page shows as code, line by line."""
    yield from ((page, span) for page, text in PAGES.items() for span in code_in(text))


def named(pattern: str) -> Named:
    """What matches in the spans: the first group."""
    expression = re.compile(pattern)
    yield from ((page, found[1]) for page, span in spans() for found in expression.finditer(span))


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {
        (page, name) for page, name in named(r"\bmake ([a-z][a-z-]*)") if name not in targets
    } == set()


def test_every_file_exists() -> None:
    ending = r"(?:py|md|toml|ya?ml|conf|sh|json|txt|html|css|js|mjs)"
    path = rf"(?<![\w./:<>{{-])((?:\w[\w.-]*/)*[\w*][\w.*-]*(?:\.{ending}|/))(?![\w/<{{*])"
    folders = [f"{folder}/" for name in TRACKED for folder in Path(name).parents]
    names = {*TRACKED, *folders}
    missing = {
        (page, name)
        for page, name in named(path)
        if not name.startswith(MADE)
        and not any(fnmatch(one, name) or fnmatch(one, f"*/{name}") for one in names)
    }
    assert missing == set()


def test_every_module_and_its_command_exists() -> None:
    commands = {"app.catalog": catalog, "app.checkout": checkout, "app.insight": insight}
    wrong = set()
    for page, called in named(r"python3? -m ((?:[a-z_]+\.)*[a-z_]+(?: [a-z-]+)?)"):
        module, _, command = called.partition(" ")
        path = ROOT / module.replace(".", "/")
        there = path.with_suffix(".py").exists() or (path / "__main__.py").exists()
        if module in commands and command:
            there = command in _commands(commands[module])
        if not there:
            wrong.add((page, called))
    assert wrong == set()


def _commands(cli: typer.Typer) -> set[str]:
    return {
        one.name or str(getattr(one.callback, "__name__", "")).replace("_", "-")
        for one in cli.registered_commands
    }


def test_every_address_exists() -> None:
    routes = {
        (method.upper(), path)
        for both in documents().values()
        for document in both
        for path, methods in document["paths"].items()
        for method in methods
    }
    ours = r"^(?:.*127\.0\.0\.1:(?:8000|9100))?((?:(?:GET|POST|DELETE) )?/[a-z<{][^\s?'\"]*)"
    unknown = {
        (page, name)
        for page, name in named(ours)
        if not any(_is_route(name, method, path) for method, path in routes)
    }
    assert unknown == set()


def _is_route(name: str, method: str, path: str) -> bool:
    """Whether a document means this route: all of it, its end (`/orders`) or its beginning.

    In all of it, an example stands for what the route leaves open, and the reverse.
    """
    said, _, asked = name.rpartition(" ")
    parts = re.sub(r"<[^>]*>|\{[^}]*\}|\u2026|\.{3}", "*", asked).strip("/").split("/")
    steps = re.sub(r"\{[^}]*\}", "*", path).strip("/").split("/")
    whole = len(parts) == len(steps) and all(
        fnmatch(step, part) or step == "*" for part, step in zip(parts, steps, strict=True)
    )
    partly = parts in (steps[-len(parts) :], steps[: len(parts)])
    return said in ("", method) and (whole or partly)


def test_every_metric_and_every_alert_exists() -> None:
    metrics = {metric.name for metric in all_metrics()}
    rooms = {name.partition("_")[0] for name in metrics}
    unit = r"(?:total|seconds|bytes|ratio|count|bucket|sum|info|violations|undigested)"
    unknown = {
        (page, name)
        for page, name in named(rf"(?<![\w:.\"'/-])([a-z]+(?:_[a-z0-9]+)*_{unit})(?![\w=\"])")
        if name.partition("_")[0] in rooms
        and not {name, re.sub(r"_(bucket|count|sum)$", "", name)} & metrics
    }
    assert unknown == set()

    alerts = {name for name in TRACKED if name.startswith("alerts/runbooks/")}
    linked = {
        (page, name)
        for page, text in PAGES.items()
        for name in re.findall(r"/console/runbooks/(\w+)", text)
        if f"alerts/runbooks/{name}.md" not in alerts
    }
    assert linked == set()


def test_every_name_of_the_code_exists() -> None:
    words = set(re.findall(r"\w+", CODE))
    assert {
        (page, name) for page, name in named(r"^((?:[A-Z][a-z]+){2,})$") if name not in words
    } == set()


def test_every_anchor_exists() -> None:
    broken = set()
    for page, text in PAGES.items():
        for target, anchor in re.findall(r"\]\(([^):]*?)#([^)]+)\)", text):
            goal = (Path(page).parent / target).as_posix() if target else page
            headings = re.findall(r"^#+ (.+)$", PAGES.get(goal, ""), re.MULTILINE)
            if anchor not in {
                re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings
            }:
                broken.add((page, f"{target}#{anchor}"))
    assert broken == set()


# --- settings -------------------------------------------------------------------------------


def test_every_variable_exists() -> None:
    known = {name for name, _ in settings()} | set(re.findall(r"\b[A-Z]+_[A-Z0-9_]+\b", CODE))
    services = "VITRINE|CATALOG|ADVISOR|CHECKOUT|STOREFRONT|INSIGHT|SANDBOX"
    assert {
        (page, name)
        for page, text in PAGES.items()
        for name in re.findall(rf"\b(?:{services})_[A-Z0-9_]*[A-Z0-9]\b", text)
        if name not in known
    } == set()


def settings() -> list[tuple[str, FieldInfo]]:
    """Every variable of ours with what it sets."""
    own: tuple[type[BaseSettings], ...] = (
        *(PlatformSettings, AdvisorSettings, CatalogSettings, CheckoutSettings),
        *(InsightSettings, SandboxSettings, StorefrontSettings),
    )
    kinds: list[tuple[str, type[BaseModel]]] = [
        ("<SERVICE>_", ServiceSettings),
        ("<SERVICE>_", Budgets),
        ("<OTHER>_", ServiceAddresses),
        *((str(kind.model_config["env_prefix"]), kind) for kind in own),
    ]
    return [
        (prefix + name.upper(), one)
        for prefix, kind in kinds
        for name, one in kind.model_fields.items()
    ]


def test_every_secret_that_may_leak_has_its_row() -> None:
    rows = [
        line.split("|")[1]
        for line in PAGES["docs/leaked-secrets.md"].splitlines()
        if line.startswith("| `")
    ]
    told = [name for cell in rows for name in re.findall(r"`(\w+)`", cell)]
    others = ["CHECKOUT_STRIPE_SECRET_KEY", "CHECKOUT_STRIPE_WEBHOOK_SECRET", "VITRINE_DEALER_KEYS"]

    assert sorted(told) == sorted([*(secret.variable for secret in SECRETS), *others])


def test_the_list_of_settings_is_what_the_services_read() -> None:
    assert [name for name, one in settings() if not one.description] == []
    wanted = "\n".join(_row(name, one) for name, one in settings())
    assert wanted in PAGES["docs/settings.md"], f"docs/settings.md: the table should be\n{wanted}"


def _row(name: str, one: FieldInfo) -> str:
    value = one.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, Path) and value.is_absolute():
        value = value.relative_to(ROOT)
    shown = (
        ""
        if value in (None, "")
        else f"`{str(value).lower() if isinstance(value, bool) else value}`"
    )
    return f"| `{name}` | {shown} | {one.description} |"


BROKEN = {
    "`make everything`": test_every_make_target_exists,
    "`app/checkout/carts.py`": test_every_file_exists,
    "`carts.py`": test_every_file_exists,
    "`deploy/kubernetes/`": test_every_file_exists,
    "`python -m app.basket`": test_every_module_and_its_command_exists,
    "`python -m app.checkout forget`": test_every_module_and_its_command_exists,
    "`POST /api/checkout/v1/carts`": test_every_address_exists,
    "`DELETE /orders`": test_every_address_exists,
    "```sh\ncurl -s http://127.0.0.1:9100/internal/checkout/carts\n```": test_every_address_exists,
    "`checkout_carts_total`": test_every_metric_and_every_alert_exists,
    "`rate(checkout_carts_bucket[5m])`": test_every_metric_and_every_alert_exists,
    "see [that](/console/runbooks/CartsLost)": test_every_metric_and_every_alert_exists,
    "`CartsLost`": test_every_name_of_the_code_exists,
    "[there](docs/orders.md#carts)": test_every_anchor_exists,
    "CHECKOUT_CART_SECONDS": test_every_variable_exists,
}


@pytest.mark.parametrize(("text", "test"), BROKEN.items(), ids=BROKEN)
def test_what_is_not_there_is_noticed(
    text: str, test: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PAGES, "docs/wrong.md", f"{text}\n")
    with pytest.raises(AssertionError, match=r"wrong\.md"):
        test()
