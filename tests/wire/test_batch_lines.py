"""Lines of batch jobs: they hold what is sent live, whatever is shown, and their ends are read as live ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.calls.batching import BATCHES, batches_of
from agents.protocol import Response
from agents.providers import PROVIDERS
from agents.questions.prompting import annotation_request
from schemas.errors import ProviderError
from schemas.registry import resolve
from tests.wire.material import make_sample, media_bytes, section, taxonomy
from tests.wire.server import FakeModels
from tests.wire.vendors import Reply

TAKES = {
    "openai": ("text", "images"),
    "openai_compatible": ("text", "images", "audio"),
    "gemini": ("text", "images", "audio", "video"),
}
OPTIONS: dict[str, dict[str, Any]] = {"gemini": {"video_fps": 2.0, "thinking_budget": 5}}
KEY = "call_0123"


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeModels]:
    monkeypatch.setenv("WIRE_TEST_KEY", "sk-test")
    with FakeModels() as server:
        yield server


def asked(provider: str, models: FakeModels, **changes: Any) -> Any:
    url = models.gemini_url if provider == "gemini" else models.openai_url
    given = {"base_url": url, "api_key_env": "WIRE_TEST_KEY", "takes": TAKES[provider], **changes}
    return section(provider, **given, options=OPTIONS.get(provider, {}))


@pytest.mark.parametrize("provider", sorted(BATCHES))
def test_a_line_holds_what_is_sent_live_to_the_byte(provider: str, models: FakeModels) -> None:
    settings = asked(provider, models)
    request = annotation_request(make_sample(), taxonomy(), settings)

    async def go() -> bytes:
        live, batches = resolve(PROVIDERS, provider, what="provider")(settings), batches_of(settings)
        try:
            await live.complete(request, media_bytes)
            return batches.line(KEY, request, media_bytes)
        finally:
            await live.close()
            await batches.close()

    line = asyncio.run(go())
    (sent,) = models.requests
    assert sent.raw.encode() in line
    assert b"\n" not in line
    row = json.loads(line)
    assert (row.get("key") or row["custom_id"], row.get("request") or row["body"]) == (KEY, sent.body)


def ends(provider: str, models: FakeModels, lines: list[Any], folder: Path) -> list[tuple[str, Any]]:
    """What becomes of a file of results."""
    written = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode()
    models.gemini_batches.results["files/batch-1"] = models.batches.files["file-1"] = written

    async def go() -> list[tuple[str, Any]]:
        batches = batches_of(asked(provider, models))
        try:
            file = "files/batch-1" if provider == "gemini" else "file-1"
            return [end async for end in batches.results(file, folder)]
        finally:
            await batches.close()

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("error", "code", "transient"),
    [
        ({"code": 3, "message": "no such field"}, "bad_request", False),
        ({"code": 400, "message": "no such field", "status": "INVALID_ARGUMENT"}, "bad_request", False),
        ({"code": 8, "message": "quota"}, "rate_limited", True),
        ({"code": 13, "message": "internal"}, "server_error", True),
        ({"code": 14, "message": "overloaded"}, "unavailable", True),
        ({"message": "nobody knows"}, "server_error", True),
        ({"code": 1, "message": "cancelled"}, "batch_cancelled", True),
    ],
)
def test_an_error_of_a_line_of_gemini_is_the_one_of_its_status(
    error: dict[str, Any], code: str, transient: bool, models: FakeModels, tmp_path: Path
) -> None:
    ((key, end),) = ends("gemini", models, [{"key": KEY, "error": error}], tmp_path)
    assert isinstance(end, ProviderError)
    assert (key, end.code, end.transient) == (KEY, code, transient)
    assert error["message"] in end.message


def test_what_is_no_line_of_results_hurts_no_other(models: FakeModels, tmp_path: Path) -> None:
    answer = {"candidates": [{"content": {"parts": [{"text": "yes"}]}, "finishReason": "STOP"}]}
    bad = ["{cut off", "[]", {"key": "a"}, {"key": "b", "response": {}}, {"key": "c", "response": []}]
    found = ends("gemini", models, [*bad, {"key": "d", "response": answer}], tmp_path)
    assert [key for key, _ in found] == ["", "", "a", "b", "c", "d"]
    assert [getattr(end, "code", None) for _, end in found] == ["bad_reply"] * 5 + [None]
    assert isinstance(found[-1][1], Response)
    assert found[-1][1].text == "yes"


def test_a_line_of_openai_that_tells_nothing_is_asked_again(models: FakeModels, tmp_path: Path) -> None:
    row = {"custom_id": KEY, "response": {"status_code": 0, "request_id": "", "body": {}}, "error": None}
    ((key, end),) = ends("openai", models, [row], tmp_path)
    assert (key, end.code, end.transient) == (KEY, "batch_error", True)


def test_a_list_that_is_always_the_same_page_comes_to_an_end(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = asked("openai", models)
    page = {"data": [{"id": "file-1", "filename": "other"}], "has_more": True}
    pages = iter([page] * 3)
    monkeypatch.setattr(models.batches, "_page", lambda *_: next(pages))

    async def go() -> str | None:
        batches = batches_of(settings)
        try:
            return await batches.uploaded("t")
        finally:
            await batches.close()

    assert asyncio.run(go()) is None
    assert len(list(pages)) == 1


def test_gemini_is_not_asked_to_go_on_behind_the_ledger(models: FakeModels) -> None:
    """The library would follow a token for continuing with further calls of its own."""
    candidate = {
        "content": {"parts": [{"text": "{"}]},
        "finishReason": "CONTINUATION",
        "continuationToken": "AAAA",
    }
    models.script(Reply(body=json.dumps({"candidates": [candidate]}), times=2))
    settings = asked("gemini", models)

    async def go() -> Response:
        live = resolve(PROVIDERS, "gemini", what="provider")(settings)
        try:
            answer: Response = await live.complete(
                annotation_request(make_sample(), taxonomy(), settings), media_bytes
            )
            return answer
        finally:
            await live.close()

    assert asyncio.run(go()).finish_reason == "continuation"
    assert len(models.requests) == 1
