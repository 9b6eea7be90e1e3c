"""Both vendors' protocols on a real socket: what arrives at the server, and what becomes of its replies."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agents.protocol import Provider, Request, Response
from agents.providers import PROVIDERS, transport
from agents.providers.headers import retry_after_s
from agents.questions.prompting import annotation_request
from schemas.errors import ItemError, ProviderError, UserError
from schemas.parts import MediaRef, Usage
from schemas.registry import resolve
from schemas.settings_models import AnnotatorSection
from tests.wire.material import KEY, ORDER, make_sample, media_bytes, ref, section, taxonomy
from tests.wire.server import FakeModels
from tests.wire.vendors import Reply, reply_body

# google-genai's own source holds an invalid escape, which Python reports when it compiles the module.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")


class Facts(NamedTuple):
    """What differs between the protocols, as the tests need it; a provider on a network needs a line here."""

    url: str  # of which server property
    schema: tuple[str, ...]  # where the answer schema stands in the body
    refused: str
    cut_off: str
    filtered: str
    written: int  # tokens of the stand-in's answer, with its thoughts


FACTS = {
    "openai": Facts(
        "openai_url", ("text", "format", "schema"), "refusal", "max_output_tokens", "content_filter", 20
    ),
    "openai_compatible": Facts(
        "openai_url", ("response_format", "json_schema", "schema"), "refusal", "length", "content_filter", 20
    ),
    "gemini": Facts(
        "gemini_url", ("generationConfig", "responseJsonSchema"), "content_filter", "MAX_TOKENS", "SAFETY", 25
    ),
}
VENDORS = sorted(name for name in PROVIDERS if resolve(PROVIDERS, name, what="provider").wire)
ASKED = [name for name in ORDER if name != "heads"]  # the default label set asks no further question


@pytest.fixture(autouse=True)
def set_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRE_TEST_KEY", KEY)


def settings(vendor: str, models: FakeModels, **changes: Any) -> AnnotatorSection:
    url = getattr(models, FACTS[vendor].url)
    return section(vendor, **({"base_url": url, "api_key_env": "WIRE_TEST_KEY"} | changes))


def complete(
    vendor: str,
    models: FakeModels,
    *,
    request: Request | None = None,
    load: Any = media_bytes,
    **changes: Any,
) -> Response:
    async def go() -> Response:
        given = settings(vendor, models, **changes)
        provider: Provider = resolve(PROVIDERS, vendor, what="provider")(given)
        try:
            return await provider.complete(
                request or annotation_request(make_sample(), taxonomy(), given), load
            )
        finally:
            await provider.close()

    return asyncio.run(go())


def failure(vendor: str, models: FakeModels, **changes: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        complete(vendor, models, **changes)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def schema_of(vendor: str, raw: str) -> dict[str, Any]:
    found = json.loads(raw)
    for key in FACTS[vendor].schema:
        found = found[key]
    return dict(found)


def unordered(schema: Any) -> Any:
    """Without what Gemini is told of the order."""
    if isinstance(schema, list):
        return [unordered(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: unordered(value) for key, value in schema.items() if key != "propertyOrdering"}


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_valid_question_gets_a_valid_answer(vendor: str, models: FakeModels) -> None:
    answer = complete(vendor, models, usd_per_million_input_tokens=2.0, usd_per_million_output_tokens=10.0)
    assert json.loads(answer.text)["labels"][0]["label"] == "neutral"
    assert answer.finish_reason == "stop"
    assert answer.model_version in ("m1-2026-01-01", "m1-001")
    written = FACTS[vendor].written
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (100, written)
    assert answer.usage.cost_usd == pytest.approx(100 * 2e-6 + written * 10e-6)
    unpriced = complete(vendor, models).usage
    assert unpriced is not None
    assert unpriced.cost_usd is None


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_vendor_that_tells_no_usage_is_not_taken_for_free(vendor: str, models: FakeModels) -> None:
    models.script(Reply(usage=False))
    assert complete(vendor, models).usage is None


def test_gemini_leaves_out_counts_of_nothing(models: FakeModels) -> None:
    blocked = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 90, "thoughtsTokenCount": 7},
    }
    models.script(Reply(body=json.dumps(blocked)))
    assert complete("gemini", models).usage == Usage(input_tokens=90, output_tokens=7, reasoning_tokens=7)


@pytest.mark.parametrize(
    "counts",
    [
        {},
        {"prompt_tokens": 5},
        {"prompt_tokens": -5, "completion_tokens": 1},
        {"prompt_tokens": True, "completion_tokens": 1},
        {"prompt_tokens": 10**400, "completion_tokens": 1},
    ],
)
def test_counts_that_are_none_are_no_usage(counts: dict[str, int], models: FakeModels) -> None:
    choice = {"message": {"content": "{}"}, "finish_reason": "stop"}
    models.script(Reply(body=json.dumps({"choices": [choice], "usage": counts})))
    assert complete("openai_compatible", models).usage is None


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_order_of_the_answer_reaches_the_wire_and_comes_back(vendor: str, models: FakeModels) -> None:
    answer = complete(vendor, models)
    schema = schema_of(vendor, models.requests[0].raw)
    given = annotation_request(make_sample(), taxonomy(), settings(vendor, models)).answer_schema
    assert list(schema["properties"]) == schema["required"] == ASKED
    assert json.dumps(unordered(schema)) == json.dumps(given)
    assert list(json.loads(answer.text)) == ASKED


def test_gemini_is_told_the_order_in_its_own_word_too(models: FakeModels) -> None:
    complete("gemini", models)
    objects = list(objects_of(schema_of("gemini", models.requests[0].raw)))
    assert len(objects) > 4
    assert all(found["propertyOrdering"] == list(found["properties"]) for found in objects)


def objects_of(schema: Any) -> Iterator[dict[str, Any]]:
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    if isinstance(schema, dict) and schema.get("type") == "object":
        yield schema
    for item in inner:
        yield from objects_of(item)


def test_gemini_is_asked_at_its_stable_path_with_the_key_in_a_header(models: FakeModels) -> None:
    complete("gemini", models)
    complete("gemini", models, options={"api_version": "v1beta"})
    assert [r.path for r in models.requests] == [
        f"/{version}/models/m1:generateContent" for version in ("v1", "v1beta")
    ]
    assert models.requests[0].headers["x-goog-api-key"] == KEY


def test_openai_sampling_and_texts_arrive(models: FakeModels) -> None:
    complete("openai_compatible", models, temperature=0.2, seed=3, max_output_tokens=77)
    body = models.requests[0].body
    assert models.requests[0].path == "/v1/chat/completions"
    assert models.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["temperature"], body["seed"]) == ("m1", 0.2, 3)
    assert body["max_completion_tokens"] == 77
    assert body["messages"][0]["role"] == "system"
    assert "great" in body["messages"][1]["content"][0]["text"]


def test_gemini_sampling_and_texts_arrive(models: FakeModels) -> None:
    complete("gemini", models, temperature=0.2, seed=3, max_output_tokens=77)
    body = models.requests[0].body
    config = body["generationConfig"]
    assert (config["temperature"], config["seed"], config["maxOutputTokens"]) == (0.2, 3, 77)
    assert "You annotate emotion" in body["systemInstruction"]["parts"][0]["text"]
    assert "great" in body["contents"][0]["parts"][0]["text"]


def test_the_responses_api_gets_texts_and_sampling_and_keeps_nothing(models: FakeModels) -> None:
    options = {"reasoning_effort": "low", "image_detail": "high", "extra_body": {"service_tier": "flex"}}
    takes = ("text", "images")
    complete(
        "openai", models, temperature=0.2, max_output_tokens=77, takes=takes, key_frames=1, options=options
    )
    body = models.requests[0].body
    assert models.requests[0].path == "/v1/responses"
    assert models.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert models.requests[0].headers["content-type"] == "application/json"
    assert (body["model"], body["temperature"], body["max_output_tokens"]) == ("m1", 0.2, 77)
    assert (body["store"], body["service_tier"], body["reasoning"]) == (False, "flex", {"effort": "low"})
    assert (body["text"]["format"]["type"], body["text"]["format"]["strict"]) == ("json_schema", True)
    assert "You annotate emotion" in body["instructions"]
    first, *_, picture = body["input"][0]["content"]
    assert (first["type"], "great" in first["text"]) == ("input_text", True)
    assert (picture["type"], picture["detail"]) == ("input_image", "high")
    sent = base64.b64decode(picture["image_url"].removeprefix("data:image/jpeg;base64,"))
    assert sent == media_bytes(ref("image", 0.2))


def test_older_openai_servers_get_what_they_know(models: FakeModels) -> None:
    options = {
        "max_tokens_field": "max_tokens",
        "reasoning_effort": "none",
        "extra_body": {"top_k": 5, "response_format": {"type": "own"}},
    }
    complete("openai_compatible", models, options=options, gives=("json_object",), deployment="second")
    body = models.requests[0].body
    assert (body["max_tokens"], body["top_k"], body["reasoning_effort"]) == (2000, 5, "none")
    assert body["response_format"] == {"type": "own"}
    assert "deployment" not in models.requests[0].raw


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("gives", "told"), [(("json_object",), "json"), ((), "")])
def test_a_model_that_knows_no_schema_gets_none(
    vendor: str, gives: tuple[str, ...], told: str, models: FakeModels
) -> None:
    models.script(Reply(text="{}"))
    complete(vendor, models, gives=gives)
    body = models.requests[0].body
    told_format = {
        "openai": lambda: body.get("text", {}).get("format", {}).get("type", ""),
        "openai_compatible": lambda: body.get("response_format", {}).get("type", ""),
        "gemini": lambda: body["generationConfig"].get("responseMimeType", ""),
    }[vendor]()
    assert told_format == {"": "", "json": "application/json" if vendor == "gemini" else "json_object"}[told]
    assert "additionalProperties" not in models.requests[0].raw


def test_openai_media_bytes_arrive_intact(models: FakeModels) -> None:
    complete("openai_compatible", models, takes=("text", "images", "audio"), key_frames=2)
    content = models.requests[0].body["messages"][1]["content"]
    sound = next(part["input_audio"] for part in content if part["type"] == "input_audio")
    assert sound["format"] == "wav"
    assert base64.b64decode(sound["data"]) == media_bytes(ref("audio"))
    images = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    prefix = "data:image/jpeg;base64,"
    sent = [base64.b64decode(url.removeprefix(prefix)) for url in images if url.startswith(prefix)]
    assert sent == [media_bytes(ref("image", at)) for at in (0.2, 0.9)]


def test_a_clip_goes_as_video_url_where_the_server_knows_it(models: FakeModels) -> None:
    complete("openai_compatible", models, takes=("text", "video"))
    content = models.requests[0].body["messages"][1]["content"]
    url = next(part["video_url"]["url"] for part in content if part["type"] == "video_url")
    assert base64.b64decode(url.removeprefix("data:video/mp4;base64,")) == media_bytes(ref("clip"))


def test_gemini_media_bytes_arrive_intact(models: FakeModels) -> None:
    takes = ("text", "images", "audio", "video")
    options = {"video_fps": 4, "video_start_s": 0.5, "video_end_s": 2, "media_resolution": "low"}
    complete("gemini", models, takes=takes, key_frames=1, options=options | {"thinking_budget": 0})
    parts = models.requests[0].body["contents"][0]["parts"]
    inline = [part["inlineData"] for part in parts if "inlineData" in part]
    kinds = [data.get("mimeType") or data["mime_type"] for data in inline]
    assert kinds == ["video/mp4", "audio/wav", "image/jpeg"]
    # The library writes URL-safe base64, as protobuf's JSON form allows.
    sent = [base64.b64decode(data["data"], altchars=b"-_") for data in inline]
    assert sent == [media_bytes(ref("clip")), media_bytes(ref("audio")), media_bytes(ref("image", 0.2))]
    (shown,) = [part["videoMetadata"] for part in parts if "videoMetadata" in part]
    assert shown == {"fps": 4.0, "start_offset": "0.5s", "end_offset": "2s"}
    config = models.requests[0].body["generationConfig"]
    assert config["mediaResolution"] == "MEDIA_RESOLUTION_LOW"
    assert list(config["thinkingConfig"].values()) == [0]


STATUSES = [
    (400, "bad_request", False),
    (401, "unauthorized", False),
    (402, "quota_exhausted", False),
    (403, "forbidden", False),
    (404, "not_found", False),
    (408, "timeout", True),
    (409, "conflict", True),
    (422, "bad_request", False),
    (429, "rate_limited", True),
    (500, "server_error", True),
    (503, "unavailable", True),
    (504, "server_error", True),
    (529, "overloaded", True),
]


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("status", "code", "transient"), STATUSES)
def test_each_status_has_its_code_and_is_sent_once(
    vendor: str, status: int, code: str, transient: bool, models: FakeModels
) -> None:
    message = json.dumps({"error": {"message": f"bad key {KEY}, sorry", "code": status}})
    models.script(Reply(status=status, body=message, times=0))
    error = failure(vendor, models)
    assert (error.code, error.transient, len(models.requests)) == (code, transient, 1)
    assert f"HTTP {status}" in error.message
    assert "sorry" in error.message


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_refusal_in_other_letters_or_cut_off_is_what_its_status_says(
    vendor: str, models: FakeModels
) -> None:
    page = "<p>Zugriff nicht erlaubt f\xfcr Sie".encode("latin-1")
    in_latin = base64.b64encode(page).decode()
    cut_off = {"content-encoding": "gzip"}
    models.script(
        Reply(status=401, body_base64=in_latin),
        Reply(status=429, body_base64=in_latin, headers={"retry-after": "7"}),
        Reply(status=429, body="no gzip", headers={"retry-after": "8", **cut_off}),
    )
    assert failure(vendor, models).code == "unauthorized"
    assert failure(vendor, models).retry_after_s == 7
    error = failure(vendor, models)
    assert (error.code, error.retry_after_s) == ("rate_limited", 8)


@pytest.mark.parametrize("vendor", ["openai", "openai_compatible"])
def test_any_status_of_success_is_one(vendor: str, models: FakeModels) -> None:
    models.script(Reply(status=201, text="{}"), Reply(status=202, body=""))
    assert complete(vendor, models).text == "{}"
    assert failure(vendor, models).code == "bad_reply"


@pytest.mark.parametrize("vendor", VENDORS)
def test_retry_after_is_read_in_both_forms(vendor: str, models: FakeModels) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    for header in ("12", date, "soon"):
        models.script(Reply(status=429, headers={"retry-after": header}))
    assert failure(vendor, models).retry_after_s == 12
    wait_s = failure(vendor, models).retry_after_s
    assert wait_s is not None
    assert 20 < wait_s <= 40
    assert failure(vendor, models).retry_after_s is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [("0", 0), ("121", 121), ("1.5", 1.5), ("-3", 0), ("nan", None), ("inf", None), ("", None), (None, None),
     ("Fri, 20 Nov 2026 10:00:30 GMT", 30), ("Thu, 19 Nov 2026 10:00:00 GMT", 0), ("32 Nov", None)],
)  # fmt: skip
def test_retry_after_headers(header: str | None, expected: float | None) -> None:
    assert retry_after_s(header, datetime(2026, 11, 20, 10, 0, tzinfo=UTC)) == expected


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_refusal_and_a_cut_off_answer_are_told_apart(vendor: str, models: FakeModels) -> None:
    facts = FACTS[vendor]
    models.script(
        Reply(refusal="I will not"),
        Reply(text='{"evidence": [', finish_reason=facts.cut_off),
        Reply(text="", finish_reason=facts.filtered),
    )
    first, second, third = (complete(vendor, models) for _ in range(3))
    assert first.finish_reason == facts.refused
    assert (second.finish_reason, second.text) == ("length", '{"evidence": [')
    assert third.finish_reason == "content_filter"


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_broken_connection_is_transient(vendor: str, models: FakeModels) -> None:
    models.script(Reply(reset=True))
    error = failure(vendor, models)
    assert (error.code, error.transient, len(models.requests)) == ("connection", True, 1)
    assert error.message == "the connection broke (connection reset by peer)"


@pytest.mark.parametrize("vendor", VENDORS)
def test_no_server_is_transient(vendor: str, models: FakeModels) -> None:
    with FakeModels() as gone:
        pass
    error = failure(vendor, gone)
    assert (error.code, error.transient) == ("connection", True)
    assert error.message == f"cannot connect to 127.0.0.1:{gone.port} (connection refused)"


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("reply", [Reply(delay_s=1.2), Reply(slow_bytes_s=0.25)], ids=["silent", "dripping"])
def test_a_slow_answer_times_out(vendor: str, reply: Reply, models: FakeModels) -> None:
    models.script(reply)
    error = failure(vendor, models, timeout_s=0.4)
    assert (error.code, error.transient, len(models.requests)) == ("timeout", True, 1)


NO_ANSWERS = ["<html>sign in</html>", "", '{"choices": []', "[]", '"ok"', "5", "NaN", "[" * 100_000]
OF_NO_SHAPE = ['{"candidates": 5}', '{"candidates": [5]}', '{"candidates": [{"finishReason": 5}]}']


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("body", [*NO_ANSWERS, *OF_NO_SHAPE], ids=range(len(NO_ANSWERS + OF_NO_SHAPE)))
def test_a_page_that_is_no_answer_is_an_error_and_no_text(vendor: str, body: str, models: FakeModels) -> None:
    models.script(Reply(body=body))
    assert failure(vendor, models).code == "bad_reply"


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("before", range(60, 90, 3))
def test_no_part_of_a_key_is_told_wherever_a_page_repeats_it(
    vendor: str, before: int, models: FakeModels
) -> None:
    models.script(Reply(body=json.dumps("x" * before + KEY)))
    assert KEY[:6] not in failure(vendor, models).message


@pytest.mark.parametrize("model", [5, None, {"name": "m"}, "m\ud800"])
@pytest.mark.parametrize("reason", ["stop", ["stop"], 7])
def test_a_reply_whose_texts_are_none_is_still_an_answer(model: Any, reason: Any, models: FakeModels) -> None:
    choice = {"message": {"content": "{}"}, "finish_reason": reason}
    models.script(Reply(body=json.dumps({"model": model, "choices": [choice]})))
    answer = complete("openai_compatible", models)
    assert answer.model_version == ("m\ufffd" if isinstance(model, str) else None)
    assert answer.finish_reason == (reason if isinstance(reason, str) else None)


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_answer_with_half_a_character_can_be_stored(vendor: str, models: FakeModels) -> None:
    models.script(Reply(text="\ud83d broken\x00"))
    assert complete(vendor, models).text == "\ufffd broken\ufffd"


@pytest.mark.parametrize("vendor", VENDORS)
def test_bytes_that_are_no_text_are_an_error_and_no_answer(vendor: str, models: FakeModels) -> None:
    complete(vendor, models)
    asked = models.requests[0]
    valid = reply_body(asked.path, asked.raw, Reply(text="joy"))
    broken = valid.replace(b"joy", b"j\xf6y")
    assert broken != valid
    models.script(Reply(body_base64=base64.b64encode(broken).decode()))
    error = failure(vendor, models)
    assert (error.code, error.transient) == ("bad_reply", True)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_reply_of_10_mb_is_read_whole_and_kept(vendor: str, models: FakeModels) -> None:
    models.script(Reply(text="a" * 10_000_000))
    answer = complete(vendor, models, timeout_s=60)
    assert len(answer.text) == 10_000_000


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_reply_without_end_is_not_read_to_it(
    vendor: str, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.providers.transport.LONGEST_REPLY_BYTES", 100_000)
    models.script(Reply(text="a" * 10_000_000))
    error = failure(vendor, models, timeout_s=60)
    assert (error.code, "100000 bytes" in error.message) == ("bad_reply", True)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_compressed_reply_is_read(vendor: str, models: FakeModels) -> None:
    complete(vendor, models)
    asked = models.requests[0]
    body = gzip.compress(reply_body(asked.path, asked.raw, Reply()))
    models.script(Reply(headers={"content-encoding": "gzip"}, body_base64=base64.b64encode(body).decode()))
    assert list(json.loads(complete(vendor, models).text)) == ASKED


@pytest.mark.parametrize("vendor", VENDORS)
def test_large_media_are_sent_whole(vendor: str, models: FakeModels) -> None:
    data = bytes(range(256)) * 12_000
    complete(vendor, models, load=lambda _: data, takes=("text", "images"), key_frames=1, timeout_s=60)
    encoded = base64.b64encode(data, altchars=b"-_" if vendor == "gemini" else None).decode()
    assert models.requests[0].raw.count(encoded) == 1


@pytest.mark.parametrize("vendor", VENDORS)
def test_media_that_cannot_be_made_is_an_error_of_this_question(vendor: str, models: FakeModels) -> None:
    def load(wanted: MediaRef) -> bytes:
        raise ItemError("media_gone", f"{wanted.kind} cannot be made")

    with pytest.raises(ItemError, match="cannot be made"):
        complete(vendor, models, load=load)
    assert models.requests == []


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_key_is_in_no_log(vendor: str, models: FakeModels, caplog: pytest.LogCaptureFixture) -> None:
    models.script(Reply(status=401, body=json.dumps({"error": {"message": f"wrong key {KEY}"}})))
    with caplog.at_level(logging.DEBUG):
        failure(vendor, models)
        complete(vendor, models)
    texts = [record.getMessage() + repr(record.args) for record in caplog.records]
    assert texts
    assert not [text for text in texts if KEY in text]


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_missing_key_is_named_before_anything_is_sent(vendor: str, models: FakeModels) -> None:
    with pytest.raises(UserError, match="NOT_SET_ANYWHERE"):
        complete(vendor, models, api_key_env="NOT_SET_ANYWHERE")
    assert models.requests == []


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_key_that_no_header_may_hold_is_named_before_anything_is_sent(
    vendor: str, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIRE_TEST_KEY", "sk-“pasted”")
    with pytest.raises(UserError) as caught:
        complete(vendor, models)
    assert (caught.value.code, "pasted" in str(caught.value)) == ("bad_key", False)
    monkeypatch.setenv("WIRE_TEST_KEY", "sk-of-a-file\r\n")
    complete(vendor, models)
    assert any(value.endswith("sk-of-a-file") for value in models.requests[0].headers.values())


@pytest.mark.parametrize("vendor", VENDORS)
def test_certificates_that_cannot_be_read_are_told(
    vendor: str, models: FakeModels, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    transport._trusted.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "moved.pem"))
    with pytest.raises(UserError) as caught:
        complete(vendor, models)
    assert caught.value.code == "bad_certificates"
    monkeypatch.delenv("SSL_CERT_FILE")
    complete(vendor, models)


@pytest.mark.parametrize("vendor", ["openai", "openai_compatible"])
def test_a_server_on_this_machine_needs_no_key(vendor: str, models: FakeModels) -> None:
    assert complete(vendor, models, api_key_env=None).finish_reason == "stop"
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        complete(vendor, models, api_key_env=None, base_url="http://models.example/v1")


@pytest.mark.parametrize("vendor", VENDORS)
def test_no_environment_variable_redirects_a_run(
    vendor: str, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeModels() as elsewhere:
        for name in ("OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, elsewhere.gemini_url)
            monkeypatch.setenv(name.lower(), elsewhere.gemini_url)
        monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
        monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "v9")
        for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
            monkeypatch.setenv(name, "of-another-project")
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-other: of-another-project")
        assert complete(vendor, models).finish_reason == "stop"
        assert elsewhere.requests == []
        provider = resolve(PROVIDERS, vendor, what="provider")(settings(vendor, models, base_url=None))
        assert "127.0.0.1" not in provider.base_url
        asyncio.run(provider.close())
    assert "v9" not in models.requests[0].path
    assert "of-another-project" not in models.requests[0].headers.values()


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(vendor: str, status: int, models: FakeModels) -> None:
    with FakeModels() as elsewhere:
        models.script(Reply(status=status, headers={"location": elsewhere.gemini_url}))
        error = failure(vendor, models)
        assert elsewhere.requests == []
    assert (error.code, error.transient, len(models.requests)) == ("redirected", False, 1)


def test_an_answer_in_parts_is_its_text(models: FakeModels) -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": '{"labels": '},
        {"type": "text", "text": "[]}"},
    ]
    for content, text in ((parts, '{"labels": []}'), ([], ""), (None, "")):
        choice = {"message": {"content": content}, "finish_reason": "stop"}
        models.script(Reply(body=json.dumps({"choices": [choice]})))
        assert complete("openai_compatible", models).text == text


@pytest.mark.parametrize(
    "content", [{"labels": []}, 7, [7], [{"type": "text"}], [{"type": "text", "text": 1}]]
)
def test_what_is_no_text_is_no_answer(content: Any, models: FakeModels) -> None:
    choice = {"message": {"content": content}, "finish_reason": "stop"}
    models.script(Reply(body=json.dumps({"choices": [choice]})))
    assert failure("openai_compatible", models).code == "bad_reply"
