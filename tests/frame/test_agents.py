"""Which buying agents are known: their directories' addresses, keys, and what they have spent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.frame import agents
from app.frame.agents import (
    MOST_KEYS,
    WELL_KNOWN,
    KnownAgents,
    NoDirectory,
    directory_at,
    read_directory,
    thumbprint,
)
from app.frame.settings import WrongSetting
from tests.builders.agents import BuyingAgent
from tests.builders.platform import make_platform

AT = f"https://agent.example{WELL_KNOWN}"


@pytest.mark.parametrize(
    ("url", "directory"),
    [
        ("https://agent.example", AT),
        ("https://agent.example/", AT),
        ("https://AGENT.example.:443", AT),
        (f"{AT}?version=2#keys", AT),
        ("https://agent.example/jwks.json", "https://agent.example/jwks.json"),
        ("https://agent.example:8443/k", "https://agent.example:8443/k"),
        ("https://[2001:db8::1]/k", "https://[2001:db8::1]/k"),
        ("http://agent.example/k", "http://agent.example/k"),
        ("https://user@agent.example", None),
        ("https://agent.example:99999", None),
        ("https://", None),
        ("https://exämple.se", None),
        ("agent.example", None),
        ("data:application/json,{}", None),
        ("file:///etc/passwd", None),
        ("", None),
    ],
)
def test_a_directory_has_one_address_however_it_is_written(url: str, directory: str | None) -> None:
    assert directory_at(url) == directory


@given(st.text(max_size=100))
def test_any_text_names_a_directory_or_none(text: str) -> None:
    found = directory_at(f"https://{text}")
    assert found is None or directory_at(found) == found


def test_a_key_is_called_by_its_thumbprint() -> None:
    # RFC 8037, appendix A.3.
    x = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert thumbprint(x) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def _read(**members: Any) -> set[str]:
    return set(read_directory(BuyingAgent().document(**members)))


@pytest.mark.parametrize(
    "members",
    [
        {"kty": "EC"},
        {"crv": "X25519"},
        {"use": "enc"},
        {"alg": "ES256"},
        {"x": "AAAA"},
        {"x": 7},
        {"x": "é" * 40},
        {"nbf": "tomorrow"},
        {"exp": True},
    ],
)
def test_keys_that_could_not_sign_are_left_out(members: dict[str, Any]) -> None:
    assert _read(**members) == set()
    assert len(_read()) == 1


def test_a_key_that_everybody_has_is_nobody_s() -> None:
    # RFC 9421, appendix B.1.4.
    everybody_s = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs",
    }
    assert read_directory(json.dumps({"keys": [everybody_s]}).encode()) == {}


def test_a_directory_may_name_a_key_as_it_likes() -> None:
    agent = BuyingAgent()
    assert set(read_directory(agent.document(kid="primary"))) == {agent.key_id}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"keys": {}}',
        b"<html>",
        b"\xff\xfe",
        json.dumps({"keys": [{}] * (MOST_KEYS + 1)}).encode(),
    ],
)
def test_what_is_no_directory_is_told(document: bytes) -> None:
    with pytest.raises(NoDirectory):
        read_directory(document)


@given(st.binary(max_size=200))
def test_no_document_at_all_breaks_the_reading(document: bytes) -> None:
    try:
        read_directory(document)
    except NoDirectory:
        return


def _known(folder: Path, directories: str = AT, **settings: Any) -> KnownAgents:
    return make_platform(folder, agent_directories=directories, **settings).agents


def test_a_key_counts_for_its_own_directory_and_in_its_own_time(tmp_path: Path) -> None:
    known, agent = _known(tmp_path, f"{AT}, https://other.example"), BuyingAgent()
    known.learn(AT, read_directory(agent.document(nbf=100, exp=200)))

    when = [now for now in (99.0, 100.0, 199.0, 200.0) if known.key(AT, agent.key_id, now)]
    assert when == [100.0, 199.0]
    assert known.key(f"https://other.example{WELL_KNOWN}", agent.key_id, 150.0) is None
    known.learn(AT, {})
    assert known.key(AT, agent.key_id, 150.0) is None


def test_a_nonce_is_spent_once_by_each_key_while_its_signature_lives(tmp_path: Path) -> None:
    known = _known(tmp_path)
    told = [
        known.spend("a", "n", now=0, until=60),
        known.spend("a", "n", now=60, until=120),
        known.spend("b", "n", now=60, until=120),
        known.spend("a", "n", now=61, until=120),
    ]
    assert told == [True, False, True, True]


def test_a_memory_that_is_full_believes_nobody_rather_than_somebody_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "MOST_SPENT", 2)
    known = _known(tmp_path)
    told = [known.spend("a", nonce, now=0, until=60) for nonce in "xyz"]

    assert told == [True, True, False]
    assert known.spend("a", "z", now=61, until=120)  # the others are too old by now
    assert known.spend("a", "x", now=61, until=120)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"agent_directories": "agent.example"}, "'agent.example' must begin with https://"),
        ({"agent_directories": "http://agent.example"}, "must begin with https://"),
        ({"agent_directories": f"{AT},https://"}, "'https://' must begin"),
        (
            {"agent_directories_private": True, "environment": "production"},
            "VITRINE_AGENT_DIRECTORIES_PRIVATE: is for tests",
        ),
    ],
)
def test_a_wrong_setting_is_told_at_the_start(
    tmp_path: Path, settings: dict[str, Any], why: str
) -> None:
    with pytest.raises(WrongSetting, match=why):
        make_platform(tmp_path, **settings)


def test_nobody_is_known_unless_somebody_is_named(tmp_path: Path) -> None:
    assert make_platform(tmp_path).agents.directories == ()
    assert _known(tmp_path, f" {AT} , https://agent.example,").directories == (AT,)
