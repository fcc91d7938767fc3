"""The production shape, read as docker-compose reads it: every promise it makes."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.frame.flags import resting_state
from app.frame.keys import SECRETS, secrets_of
from rigs.alertmanager import CONFIGURATION as ALERTMANAGER
from rigs.prometheus import FLAGS

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
APP = {
    "catalog": (8001, 9101),
    "advisor": (8002, 9102),
    "checkout": (8003, 9103),
    "storefront": (8004, 9104),
    "insight": (8005, 9105),
    "sandbox": (8006, 9106),
}
TWO_GIBIBYTES = 2 * 1024**3
UNITS = {"m": 1024**2, "g": 1024**3, "k": 1024}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file with anchors, defaults and the example's secrets filled in."""
    done = subprocess.run(
        ["docker-compose", "--env-file", ".env.example", "config"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "COMPOSE_PROFILES": "practice"},
    )
    assert done.returncode == 0, done.stderr
    content: dict[str, Any] = yaml.safe_load(done.stdout)
    return content


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def test_the_stack_is_complete(services: dict[str, dict[str, Any]]) -> None:
    watching = {"collector", "tempo", "loki", "prometheus", "alertmanager", "grafana"}

    assert set(services) == {*APP, "gateway", "postgres", *watching}


def test_practice_is_off_unless_it_is_asked_for(services: dict[str, dict[str, Any]]) -> None:
    for name in APP:
        told = services[name]["environment"]
        assert told["VITRINE_ALLOW_SANDBOX_IN_PRODUCTION"] in ("false", False)
        assert told["CHECKOUT_PROVIDERS"] == ""
    assert services["sandbox"]["profiles"] == ["practice"]
    assert "sandbox" not in services["gateway"]["depends_on"]


def test_nothing_starts_without_its_secrets(tmp_path: Path) -> None:
    (tmp_path / "empty.env").write_text("")
    done = subprocess.run(
        ["docker-compose", "--env-file", str(tmp_path / "empty.env"), "config"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
    )

    assert done.returncode != 0
    assert "run make env" in done.stderr


def bytes_of(limit: str | int) -> int:
    text = str(limit).lower().removesuffix("b")
    return int(text) if text.isdigit() else int(text[:-1]) * UNITS[text[-1]]


def test_memory_limits_add_up_to_at_most_two_gibibytes(services: dict[str, dict[str, Any]]) -> None:
    limits = {name: bytes_of(service["mem_limit"]) for name, service in services.items()}

    assert sum(limits.values()) <= TWO_GIBIBYTES
    assert min(limits.values()) > 0


def test_a_feed_is_put_down_on_a_disk_and_not_in_memory(
    services: dict[str, dict[str, Any]],
) -> None:
    catalog = services["catalog"]
    folder = catalog["environment"]["TMPDIR"]
    mounted = [
        volume if isinstance(volume, str) else f"{volume['source']}:{volume['target']}"
        for volume in catalog["volumes"]
    ]

    assert [at for at in mounted if at.startswith(f"feeds:{folder}")] != []
    assert f"install -d -o 10001 -g 10001 -m 0700 {folder}\n" in (
        ROOT / "deploy" / "Dockerfile"
    ).read_text(encoding="utf-8")


def test_only_the_gateway_and_grafana_are_published_and_on_loopback(
    services: dict[str, dict[str, Any]],
) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert published == {
        "gateway": ["127.0.0.1:8000:8080/tcp"],
        "grafana": ["127.0.0.1:3000:3000/tcp"],
    }
    assert [name for name, service in services.items() if service.get("network_mode")] == []


@pytest.mark.parametrize(
    ("promise", "kept"),
    [
        ("a health check", lambda service: service["healthcheck"]["test"][0] == "CMD"),
        ("a restart policy", lambda service: service["restart"] == "unless-stopped"),
        ("a read-only root file system", lambda service: service["read_only"] is True),
        ("a user other than root", lambda service: re.match(r"[1-9]\d*:\d+$", service["user"])),
        ("no capability", lambda service: service["cap_drop"] == ["ALL"]),
        (
            "no new privileges",
            lambda service: service["security_opt"] == ["no-new-privileges:true"],
        ),
        (
            "a pinned image",
            lambda service: re.search(r":v?\d+\.\d+\.?\d*(-alpine)?$", service["image"]),
        ),
        (
            "a log driver with a limit or the collector",
            lambda service: "options" in service["logging"],
        ),
        ("no Docker socket", lambda service: "docker.sock" not in json.dumps(service)),
    ],
)
def test_every_container_has(promise: str, kept: Any, services: dict[str, dict[str, Any]]) -> None:
    without = [name for name, service in services.items() if not kept(service)]

    assert (promise, without) == (promise, [])


def test_the_six_services_run_one_image_on_the_agreed_ports(
    services: dict[str, dict[str, Any]],
) -> None:
    images = {services[name]["image"] for name in APP}
    ports = {}
    for name in APP:
        environment = services[name]["environment"]
        prefix = name.upper()
        ports[name] = (
            int(environment[f"{prefix}_PORT"]),
            int(environment[f"{prefix}_INTERNAL_PORT"]),
        )

    assert len(images) == 1
    assert ports == APP
    assert {name: services[name]["command"] for name in APP} == {
        name: ["python", "-m", f"app.{name}"] for name in APP
    }


def test_each_service_knows_its_own_database_and_no_other(
    services: dict[str, dict[str, Any]],
) -> None:
    known = {
        name: {
            key: value
            for key, value in services[name]["environment"].items()
            if key.endswith("_DATABASE_URL")
        }
        for name in APP
    }

    assert known == {
        name: {
            f"{name.upper()}_DATABASE_URL": (
                f"postgresql+asyncpg://{name}:change-me-{name}@postgres:5432/{name}"
            )
        }
        for name in APP
    }


def test_nobody_but_postgresql_itself_knows_its_superuser(
    services: dict[str, dict[str, Any]], collector: dict[str, Any]
) -> None:
    environments = {name: each.get("environment") or {} for name, each in services.items()}
    knowing = [name for name, values in environments.items() if "POSTGRES_PASSWORD" in values]
    roles = {
        found
        for values in environments.values()
        for value in values.values()
        for found in re.findall(r"^postgres\S*://([^:@]+)", str(value))
    }
    receiver = collector["receivers"]["postgresql"]

    assert knowing == ["postgres"]
    assert roles == set(APP)
    assert (receiver["username"], receiver["password"]) == (
        "collector",
        "${env:COLLECTOR_DATABASE_PASSWORD}",
    )
    assert environments["collector"]["COLLECTOR_DATABASE_PASSWORD"] == "change-me-collector"


def test_every_service_knows_where_the_others_are(services: dict[str, dict[str, Any]]) -> None:
    for name in APP:
        environment = services[name]["environment"]
        addresses = {
            other: (
                environment[f"{other.upper()}_URL"],
                environment[f"{other.upper()}_INTERNAL_URL"],
            )
            for other in APP
        }
        assert addresses == {
            other: (f"http://{other}:{public}", f"http://{other}:{internal}")
            for other, (public, internal) in APP.items()
        }


def test_each_service_gets_the_secrets_that_it_uses_and_no_other(
    services: dict[str, dict[str, Any]],
) -> None:
    known = {secret.variable for secret in SECRETS}
    given = {name: known & set(services[name]["environment"]) for name in APP}

    assert given == {name: {secret.variable for secret in secrets_of(name)} for name in APP}
    stripe = [name for name in APP if "CHECKOUT_STRIPE_SECRET_KEY" in services[name]["environment"]]
    assert stripe == ["checkout"]


def test_health_checks_of_services_ask_the_internal_port(
    services: dict[str, dict[str, Any]],
) -> None:
    asked = {name: services[name]["healthcheck"]["test"][-1] for name in APP}

    assert asked == {name: str(internal) for name, (_, internal) in APP.items()}


def targets(name: str) -> dict[str, str]:
    """Component to its address, from one of Prometheus' target files."""
    groups = json.loads((ROOT / "deploy" / "prometheus" / "targets" / name).read_text())
    return {group["labels"]["component"]: group["targets"][0] for group in groups}


def test_every_service_is_scraped() -> None:
    assert targets("services.json") == {
        name: f"{name}:{internal}" for name, (_, internal) in APP.items()
    }


@pytest.fixture(scope="module")
def collector() -> dict[str, Any]:
    text = (ROOT / "deploy" / "collector" / "collector.yml").read_text()
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def test_every_container_is_scraped_or_asked_by_the_collector(
    services: dict[str, dict[str, Any]], collector: dict[str, Any]
) -> None:
    scraped = set(targets("services.json")) | set(targets("infrastructure.json"))
    # These two have no metrics of their own: the collector's receivers ask them.
    asked = {
        "gateway": collector["receivers"]["nginx"]["endpoint"].split("/")[2].split(":")[0],
        "postgres": collector["receivers"]["postgresql"]["endpoint"].split(":")[0],
    }

    assert asked == {"gateway": "gateway", "postgres": "postgres"}
    assert set(services) - scraped == set(asked)


def networks_of(service: dict[str, Any]) -> set[str]:
    return set(service["networks"])


def test_whoever_asks_somebody_shares_a_network_with_them(
    services: dict[str, dict[str, Any]],
) -> None:
    everybody = set(services)
    asks = {
        "gateway": set(APP),
        **{name: {*APP, "postgres", "collector"} for name in APP},
        "insight": {*APP, "postgres", "collector", "prometheus", "alertmanager"},
        "collector": everybody,
        "prometheus": everybody - {"gateway", "postgres"},
        "alertmanager": {"insight"},
        "grafana": {"prometheus", "tempo", "loki"},
    }

    apart = [
        (one, other)
        for one, others in asks.items()
        for other in others
        if not networks_of(services[one]) & networks_of(services[other])
    ]
    assert apart == []


def test_nobody_else_is_on_a_network_with_what_they_do_not_ask(
    services: dict[str, dict[str, Any]], compose: dict[str, Any]
) -> None:
    on = {
        network: {name for name, each in services.items() if network in networks_of(each)}
        for network in compose["networks"]
    }

    assert on == {
        "shop": {*APP, "gateway", "collector", "prometheus", "alertmanager"},
        "data": {*APP, "postgres", "collector"},
        "view": {"collector", "prometheus", "alertmanager", "tempo", "loki", "grafana"},
    }
    assert compose["networks"]["data"]["internal"] is True


def test_every_container_with_http_is_probed(
    services: dict[str, dict[str, Any]], collector: dict[str, Any]
) -> None:
    probed = {
        target["endpoint"].split("/")[2].split(":")[0]
        for target in collector["receivers"]["httpcheck"]["targets"]
    }

    # PostgreSQL speaks no HTTP; the collector does not ask itself, Prometheus does.
    assert set(services) - probed == {"postgres", "collector"}


def test_every_pipeline_of_the_collector_uses_what_is_defined(collector: dict[str, Any]) -> None:
    for pipeline in collector["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            assert set(names) <= set(collector[kind])


def test_alertmanager_tells_insights_internal_port() -> None:
    addresses = set(re.findall(r"http://insight:\d+", ALERTMANAGER.read_text()))

    assert addresses == {f"http://insight:{APP['insight'][1]}"}


def test_prometheus_runs_with_the_flags_of_the_native_one(
    services: dict[str, dict[str, Any]],
) -> None:
    command = services["prometheus"]["command"]

    assert set(FLAGS) <= set(command)
    assert "--web.enable-lifecycle" not in command


def test_every_mounted_file_exists(services: dict[str, dict[str, Any]]) -> None:
    sources = [
        volume.split(":")[0] if isinstance(volume, str) else volume["source"]
        for service in services.values()
        for volume in service.get("volumes", [])
    ]
    bound = [source for source in sources if source.startswith(("/", "."))]

    assert len(bound) > 10
    assert [source for source in bound if not (ROOT / source).exists()] == []


def test_the_shipped_flags_are_at_rest() -> None:
    shipped = json.loads((ROOT / "deploy" / "flags" / "flags.json").read_text())

    assert shipped == resting_state()


def test_the_image_is_built_from_pinned_bases_as_another_user() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    bases = re.findall(r"^FROM (\S+)", text, flags=re.MULTILINE)

    assert [base for base in bases if not re.search(r":\d+\.\d+\.\d+-", base)] == []
    assert "--require-hashes" in text
    assert re.search(r"^USER 10001:10001$", text, flags=re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", text, flags=re.MULTILINE)


def test_grafana_leads_from_an_exemplar_to_its_trace_and_on_to_its_logs() -> None:
    path = ROOT / "deploy" / "grafana" / "provisioning" / "datasources" / "vitrine.yml"
    sources = {source["uid"]: source for source in yaml.safe_load(path.read_text())["datasources"]}

    exemplars = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert exemplars == [{"name": "trace_id", "datasourceUid": "tempo"}]
    assert sources["tempo"]["jsonData"]["tracesToLogsV2"]["datasourceUid"] == "loki"
    assert sources["loki"]["jsonData"]["derivedFields"][0]["datasourceUid"] == "tempo"
