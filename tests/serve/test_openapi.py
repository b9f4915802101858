"""`/openapi.json` against the server: what it says is true of random requests, valid and invalid ones."""

import contextlib

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from serve.running import Running

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
PATHS = {
    "/api/model", "/api/characters", "/api/next", "/api/read", "/api/complete", "/api/score", "/api/exchange",
    "/api/generate", "/v1/models", "/v1/completions", "/tokenizer_info", "/tokenize", "/detokenize",
}  # fmt: skip


def test_the_schema_is_true(server: Running) -> None:
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    schema.config.checks.negative_data_rejection.expected_statuses = ["4xx"]  # 413 too: too long is wrong
    assert {operation.ok().path for operation in schema.get_all_operations()} == PATHS
    for operation in schema.get_all_operations():
        for mode in GenerationMode:
            with contextlib.suppress(Unsatisfiable):  # what has neither a body nor a parameter cannot be asked wrongly
                check(operation.ok(), mode)


def check(operation: APIOperation, mode: GenerationMode) -> None:
    @settings(
        max_examples=8, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    holds()
