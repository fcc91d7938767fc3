"""Finds the adapters that live in this folder, so that a new source kind is one new file."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import app.catalog.feeds as this_package
from app.catalog.feeds.record import FeedAdapter


def discover_adapters(package: ModuleType = this_package) -> dict[str, FeedAdapter]:
    """Adapter name to adapter, for every module of `package` that has an `ADAPTER`.

    Raises `TypeError` for an `ADAPTER` that is none, `ValueError` for a name used twice.
    """
    adapters: dict[str, FeedAdapter] = {}
    for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        if not hasattr(module, "ADAPTER"):
            continue
        adapter = module.ADAPTER
        if not isinstance(adapter, FeedAdapter):
            raise TypeError(f"{module.__name__}.ADAPTER has no name and read(content, context)")
        if adapter.name in adapters:
            raise ValueError(f"{module.__name__}: the adapter name {adapter.name!r} is taken")
        adapters[adapter.name] = adapter
    return adapters
