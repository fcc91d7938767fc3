"""Secrets: what production refuses, and what `make env` writes."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from app.frame.keys import SECRETS, KeysMissing, faults, secrets_of, with_keys
from app.frame.settings import PlatformSettings
from app.frame.start.envfile import ROOT, filled_in, main, values_in
from telemetry.catalogue.labels import SERVICES

EXAMPLE = (ROOT / ".env.example").read_text()
FRESH = {secret.variable: secret.new() for secret in SECRETS}


def test_no_value_of_the_example_is_accepted() -> None:
    refused = faults(values_in(EXAMPLE), list(SECRETS))

    assert refused == [f"{secret.variable} is an example's value" for secret in SECRETS]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret.variable)
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "is not set"),
        (" \t", "is not set"),
        ("a", "is shorter than {least} characters"),
        ("CHANGE-ME-to-something-longer-than-that", "is an example's value"),
        (base64.b64encode(b"change-me-and-then-some-more-xyz").decode(), "is an example's value"),
        ("dGVzdC1jdXN0b21lci1rZXktdGVzdC1jdXN0b21lcjA=", "is an example's value"),
        ("abababababababababababababababab", "repeats itself"),
        ("aB3-x_9" * 3, None),
    ],
)
def test_each_secret_is_held_to_the_rule(secret: object, value: str, said: str | None) -> None:
    (one,) = [each for each in SECRETS if each is secret]
    if said is None:
        said = "is shorter than {least} characters" if one.least > len(value) else None
    if one.optional and not value:
        said = None

    found = faults({one.variable: value}, [one])

    assert found == ([f"{one.variable} {said.format(least=one.least)}"] if said else [])


def test_a_customer_key_that_seals_nothing_is_refused_everywhere(tmp_path: Path) -> None:
    settings = PlatformSettings(data=tmp_path, customer_key="short")

    for service in ("checkout", ""):
        with pytest.raises(KeysMissing, match="VITRINE_CUSTOMER_KEY is not a Fernet key"):
            with_keys(settings, service)


def test_two_secrets_are_never_the_same() -> None:
    same = dict.fromkeys(FRESH, FRESH["VITRINE_SESSION_KEY"])

    assert faults(same, list(SECRETS)) == [
        f"{secret.variable} equals VITRINE_SESSION_KEY" for secret in SECRETS[1:]
    ]


def test_a_service_in_production_needs_its_own_secrets_only(tmp_path: Path) -> None:
    for service in SERVICES:
        own = {secret.field: FRESH[secret.variable] for secret in secrets_of(service)}
        settings = PlatformSettings(environment="production", data=tmp_path).model_copy(update=own)

        assert with_keys(settings, service) == settings
        with pytest.raises(KeysMissing, match="VITRINE_SESSION_KEY is not set"):
            with_keys(settings.model_copy(update={"session_key": "  "}), service)
    assert list(tmp_path.iterdir()) == []


def test_no_value_is_printed() -> None:
    weak = {secret.variable: f"hush{number}" for number, secret in enumerate(SECRETS)}

    assert "hush" not in "; ".join(faults(weak, list(SECRETS)))


def test_the_example_and_the_settings_name_every_secret_of_the_table() -> None:
    named = values_in(EXAMPLE)
    fields = PlatformSettings.model_fields

    assert [secret.variable for secret in SECRETS if secret.variable not in named] == []
    assert [secret.field for secret in secrets_of() if secret.field not in fields] == []


def test_a_fresh_file_is_good_and_readable_by_its_owner_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env.example").write_text(EXAMPLE)

    assert main([], tmp_path) == 0
    written = (tmp_path / ".env").read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert faults(values_in(written), list(SECRETS)) == []
    assert set(values_in(written)) == set(values_in(EXAMPLE))
    assert main(["--check"], tmp_path) == 0
    assert written not in capsys.readouterr().out

    assert main([], tmp_path) == 1  # never over one that is there
    assert (tmp_path / ".env").read_text() == written
    assert "left as it is" in capsys.readouterr().err


def test_a_file_that_is_the_example_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"], tmp_path) == 2
    (tmp_path / ".env").write_text(
        EXAMPLE.replace("change-me-grafana", filled_in("GRAFANA_PASSWORD=").partition("=")[2])
    )

    assert (main(["--check"], tmp_path), main([], tmp_path)) == (2, 2)
    said = capsys.readouterr().err
    assert "CHECKOUT_DATABASE_PASSWORD is an example's value" in said
    assert "GRAFANA_PASSWORD" not in said
