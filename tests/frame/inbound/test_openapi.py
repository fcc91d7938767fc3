"""Whatever anybody sends to any service, it answers as its OpenAPI says, and never with a fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Err
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tests.builders.running import RunningShop, running_shop

pytestmark = pytest.mark.integration

SERVICES = {
    "catalog": "/api/catalog/v1",
    "advisor": "/api/advisor/v1",
    "checkout": "/api/checkout/v1",
    "insight": "/api/insight/v1",
    "sandbox": "/sandbox",
}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]
EXAMPLES = 8
"""Per operation and way of generating: enough to find the careless, few enough for CI."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningShop]:
    with running_shop(tmp_path_factory.mktemp("openapi")) as running:
        yield running


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("service", SERVICES)
def test_every_answer_is_documented_and_none_is_a_fault(
    shop: RunningShop, service: str, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_url(f"{shop.base_url}{SERVICES[service]}/openapi.json")
    operations = [
        result.ok() for result in schema.get_all_operations() if not isinstance(result, Err)
    ]
    found = []
    for operation in operations:

        @given(case=operation.as_strategy(mode))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def probe(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(base_url=shop.base_url, checks=CHECKS, timeout=10)

        try:
            probe()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # it takes nothing that could be wrong
        except BaseExceptionGroup as failures:
            found += [f"{operation.label}: {failure}" for failure in failures.exceptions]

    assert operations
    assert found == []
