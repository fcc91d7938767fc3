"""Dealer keys: what each opens, and the one sentence for a setting that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.frame.inbound.dealers import OPERATOR, DealerKeyElsewhere, DealerKeys, KeyHolder
from app.frame.keys import SECRETS, KeysMissing
from app.frame.settings import PlatformSettings
from app.frame.start.envfile import main
from app.kernel.errors import NotAuthorised

NORD, SYD, OWN = (f"{name}-Zq7-4mK9-x2Rt-8vLp-w3" for name in ("nord", "syd", "own"))
NORDBIL = {"name": "nordbil", "key": NORD, "sources": ["nordbil"], "dealers": ["SE-UME-1"]}
SYDBIL = {"name": "sydbil", "key": SYD, "sources": ["sydbil", "sydbil-used"]}


def keys(text: Any, **settings: Any) -> DealerKeys:
    given = text if isinstance(text, str) else json.dumps(text)
    return DealerKeys.of(PlatformSettings(dealer_key=OWN, dealer_keys=given, **settings))


def test_each_key_opens_what_its_entry_names_and_the_operators_opens_all() -> None:
    found = keys([NORDBIL, SYDBIL])

    assert found.holder(NORD) == KeyHolder(
        "nordbil", frozenset({"nordbil"}), frozenset({"SE-UME-1"})
    )
    assert found.holder(SYD) == KeyHolder(
        "sydbil", frozenset({"sydbil", "sydbil-used"}), frozenset()
    )
    assert found.holder(OWN) == KeyHolder(OPERATOR, None, None)
    found.holder(NORD).check_source("nordbil")
    found.holder(NORD).check_dealer("SE-UME-1")
    found.holder(OWN).check_source("anything")
    found.holder(OWN).check_dealer("anybody")


@pytest.mark.parametrize("given", ["", " ", NORD[:-1], NORD + "x", NORD.upper(), "ключ"])
def test_no_other_text_is_a_key(given: str) -> None:
    with pytest.raises(NotAuthorised):
        keys([NORDBIL]).holder(given)


def test_without_an_operators_key_an_empty_one_opens_nothing() -> None:
    with pytest.raises(NotAuthorised):
        DealerKeys.of(PlatformSettings(dealer_key="", dealer_keys="")).holder("")


def test_a_key_for_something_else_says_what_it_is_for() -> None:
    nord, syd = (keys([NORDBIL, SYDBIL]).holder(key) for key in (NORD, SYD))

    with pytest.raises(DealerKeyElsewhere) as source:
        syd.check_source("nordbil")
    with pytest.raises(DealerKeyElsewhere) as dealer:
        nord.check_dealer("SE-STO-1")
    with pytest.raises(DealerKeyElsewhere, match="is for no dealer"):
        syd.check_dealer("SE-STO-1")

    assert "imports the sources sydbil, sydbil-used, and not nordbil" in source.value.detail
    assert source.value.extensions == {"key": "sydbil", "sources": ["sydbil", "sydbil-used"]}
    assert "is for the dealer SE-UME-1" in dealer.value.detail
    assert "STO" not in dealer.value.detail  # whose it is, is nobody else's business
    assert dealer.value.extensions == {"key": "nordbil", "dealers": ["SE-UME-1"]}


def test_the_keys_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "dealers.json"
    path.write_text(json.dumps([NORDBIL]))

    assert keys(str(path)).holder(NORD).name == "nordbil"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("[", "is not JSON (line 1, column 2)"),
        ("/no/such/file.json", "neither a JSON list nor a file that can be read"),
        ("[]", "must be a JSON list with an entry for each key"),
        ({"nordbil": NORD}, "must be a JSON list"),
        (["nordbil"], "entry 1: must be an object with name, key"),
        ([{**NORDBIL, "name": ""}], "entry 1: name: must be of small letters"),
        ([{"key": NORD, "sources": ["nordbil"]}], "entry 1: name: is missing"),
        ([{**NORDBIL, "name": "Nord Bil"}], "entry 1: name: "),
        ([NORDBIL, {**SYDBIL, "key": 7}], "entry 2 (sydbil): key: "),
        ([{**NORDBIL, "key": ""}], "entry 1 (nordbil): key: must be of printable"),
        ([{**NORDBIL, "key": "two words"}], "entry 1 (nordbil): key: must be of printable"),
        ([{**NORDBIL, "sources": []}], "entry 1 (nordbil): sources: must be a list of sources"),
        ([{**NORDBIL, "dealers": []}], "entry 1 (nordbil): dealers: must be a list of"),
        ([{**NORDBIL, "sources": "nordbil"}], "entry 1 (nordbil): sources: "),
        ([{**NORDBIL, "sources": ["../x"]}], "entry 1 (nordbil): sources: "),
        ([{**NORDBIL, "source": ["x"]}], "entry 1 (nordbil): source: is an unknown field"),
        ([{"name": "nordbil", "key": NORD}], "entry 1 (nordbil): opens nothing"),
        ([NORDBIL, {**SYDBIL, "key": NORD}], "entry 2 (sydbil): its key equals the key of entry 1"),
        ([NORDBIL, {**SYDBIL, "name": "nordbil"}], "entry 2 (nordbil): its name is taken by"),
        ([{**NORDBIL, "name": "operator"}], "its name is taken by the operator's key"),
        ([{**NORDBIL, "key": OWN}], "entry 1 (nordbil): its key equals VITRINE_DEALER_KEY"),
        ('[{"name": "a", "name": "b"}]', "the same field twice"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_sentence(setting: Any, said: str) -> None:
    with pytest.raises(KeysMissing) as refused:
        keys(setting)

    sentence = str(refused.value)
    assert sentence.startswith("VITRINE_DEALER_KEYS")
    assert said in sentence
    assert "\n" not in sentence
    assert not any(key in sentence for key in (NORD, SYD, OWN))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("nord-Zq7-4mK9-x2Rt-8v", "is shorter than 24 characters"),
        ("change-me-dealer-nordbil-now", "is an example's value"),
        ("abababababababababababababababab", "repeats itself"),
    ],
)
def test_production_holds_each_key_to_the_rule_of_secrets(key: str, said: str) -> None:
    weak = [{**NORDBIL, "key": key}]

    assert keys(weak).holder(key).name == "nordbil"
    with pytest.raises(KeysMissing, match=r"entry 1 \(nordbil\): its key " + said):
        keys(weak, environment="production")


def test_the_file_of_settings_is_checked_for_them_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = {secret.variable: secret.new() for secret in SECRETS}
    path = tmp_path / ".env"

    def check(entries: list[dict[str, Any]]) -> int:
        lines = {**fresh, "VITRINE_DEALER_KEYS": f"'{json.dumps(entries)}'"}
        path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        return main(["--check"], tmp_path)

    assert check([NORDBIL, SYDBIL]) == 0
    assert check([NORDBIL, {**SYDBIL, "key": fresh["VITRINE_REPORT_KEY"]}]) == 2
    assert "entry 2 (sydbil): its key equals VITRINE_REPORT_KEY" in capsys.readouterr().err
    assert check([{**NORDBIL, "dealer": "x"}]) == 2
    assert "entry 1 (nordbil): dealer: is an unknown field" in capsys.readouterr().err
