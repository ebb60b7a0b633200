"""The API as it describes itself, and requests that are made from that description."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import hypothesis
import pytest
import schemathesis
from jsonschema_rs import meta, validator_for
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ifvit.service.openapi import describe

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]

HOST = {"Host": "localhost"}

EXAMPLES = 12
"""Requests for each operation."""

settings = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.fixture
def app(client_of):
    return client_of(gallery=True).app


MODES = {"as described": GenerationMode.POSITIVE, "not as described": GenerationMode.NEGATIVE}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_requests_made_of_the_description_are_answered_as_described(app, mode):
    api = schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=HOST)
    statuses: Counter[int] = Counter()
    for found in api.get_all_operations():
        operation = found.ok()

        @settings
        @hypothesis.given(operation.as_strategy(generation_mode=mode))
        def answered(case):
            response = case.call(headers=HOST)
            statuses[response.status_code] += 1
            assert response.elapsed < 20, "it hangs"
            case.validate_response(response, checks=CHECKS)

        with suppress(hypothesis.errors.Unsatisfiable):  # nothing of it could be wrong
            answered()
    assert statuses[422] >= 10 and statuses.total() >= 50, statuses


def test_every_operation_says_what_it_takes_and_answers(client_of):
    made = describe(client_of().app)
    assert made["openapi"].startswith("3.1")
    for path, operations in made["paths"].items():
        for method, one in operations.items():
            where = f"{method} {path}"
            assert one["description"] and one["tags"], where
            assert "200" in one["responses"] and "503" in one["responses"], where
            assert bool(one.get("security")) == (path != "/health"), where
            for media in one.get("requestBody", {}).get("content", {}).values():
                assert media["examples"], where
                meta.validate(media["schema"])
            answer, example = one["responses"]["200"]["content"], None
            for media in answer.values():
                for example in media.get("schema", {}).get("examples", []):
                    assert validator_for(media["schema"]).is_valid(example), where
            assert "application/json" not in answer or path.endswith(".json") or example, where
