"""A shop that a rig starts is told what the rig says, and nothing that was set for another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from rigs.shop import Address, shop_environment, without_settings

HERE = Path("/data/shop")
ADDRESS = Address(8001, 9101)


@pytest.fixture
def somebody_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of a shop that runs elsewhere on this machine, and a variable of the machine."""
    monkeypatch.setenv("VITRINE_WORKERS", "4")
    monkeypatch.setenv("CHECKOUT_DATABASE_URL", "postgresql+asyncpg://real")
    monkeypatch.setenv("LANG", "sv_SE.UTF-8")


@pytest.mark.usefixtures("somebody_s")
def test_a_rig_s_shop_does_not_hear_what_was_set_for_another() -> None:
    told = shop_environment(HERE, ADDRESS, different={"VITRINE_SYNTHETIC_KEY": "k"})

    assert told == {
        **without_settings(),
        "VITRINE_PORT": "8001",
        "VITRINE_INTERNAL_PORT": "9101",
        "VITRINE_DATA": "/data/shop/data",
        "VITRINE_FLAGS": "/data/shop/flags.json",
        "VITRINE_SYNTHETIC_KEY": "k",
    }
    assert told["LANG"] == "sv_SE.UTF-8"
    assert not told.keys() & {"VITRINE_WORKERS", "CHECKOUT_DATABASE_URL"}


@pytest.mark.usefixtures("somebody_s")
def test_a_person_s_own_shop_hears_what_they_set() -> None:
    given = {"VITRINE_WORKERS": "4", "VITRINE_PORT": "1", "LANG": "sv_SE.UTF-8"}

    assert shop_environment(HERE, ADDRESS, given=given) == {
        **given,
        "VITRINE_PORT": "8001",
        "VITRINE_INTERNAL_PORT": "9101",
        "VITRINE_DATA": "/data/shop/data",
        "VITRINE_FLAGS": "/data/shop/flags.json",
    }


def test_one_service_has_ports_of_its_own_name() -> None:
    told = shop_environment(HERE, ADDRESS, service="sandbox", given={})

    assert told == {
        "SANDBOX_PORT": "8001",
        "SANDBOX_INTERNAL_PORT": "9101",
        "VITRINE_DATA": "/data/shop/data",
        "VITRINE_FLAGS": "/data/shop/flags.json",
    }
