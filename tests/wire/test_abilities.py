"""What a project file says that a model can do: what is not said is not asked, what cannot be is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents.asking import Model
from agents.providers import PROVIDERS
from agents.questions.prompting import annotation_request
from pipeline.preflight import preflight
from schemas.errors import UserError
from schemas.parts import Usage
from schemas.ports import TokenLogprob
from schemas.registry import resolve
from schemas.settings_file import load_settings
from tests.wire.material import make_sample, section, taxonomy
from tests.wire.server import FakeModels
from tests.wire.test_providers import VENDORS, complete, failure, set_key  # noqa: F401 - a fixture
from tests.wire.vendors import Reply

TOLD = ("json_schema", "logprobs")


@pytest.mark.parametrize("vendor", VENDORS)
def test_logprobs_are_asked_for_and_told_where_they_are_declared(vendor: str, models: FakeModels) -> None:
    models.script(Reply(text='{"label": "joy"}', times=0))
    answer = complete(vendor, models, gives=TOLD, top_logprobs=2)
    assert answer.logprobs is not None
    assert "".join(token.text for token in answer.logprobs) == answer.text
    assert answer.logprobs[0] == TokenLogprob('{"la', -1.0, (('{"la', -1.0), ("?", -9.5)))
    assert [
        len(token.top) for token in complete(vendor, models, gives=TOLD, top_logprobs=1).logprobs or ()
    ] == [1] * 4
    assert [token.top for token in complete(vendor, models, gives=TOLD, top_logprobs=0).logprobs or ()] == [
        ()
    ] * 4


@pytest.mark.parametrize("vendor", VENDORS)
def test_logprobs_are_not_asked_for_by_themselves(vendor: str, models: FakeModels) -> None:
    assert complete(vendor, models, gives=TOLD).logprobs is None
    assert "logprobs" not in models.requests[0].raw.lower()


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_vendor_that_was_asked_and_tells_no_logprobs_has_told_none(vendor: str, models: FakeModels) -> None:
    models.script(Reply(logprobs=[]))
    assert complete(vendor, models, gives=TOLD, top_logprobs=3).logprobs is None


@pytest.mark.parametrize("vendor", ["openai", "openai_compatible"])
def test_a_character_in_two_tokens_comes_out_whole(vendor: str, models: FakeModels) -> None:
    def row(told: list[int], name: str) -> dict[str, Any]:
        return {"token": name, "bytes": told, "logprob": -0.5, "top_logprobs": []}

    rows = [row([0x22, 0xF0, 0x9F], "\\xf0\\x9f"), row([0x98, 0x80], "\\x98\\x80"), row([0x22], '"')]
    rows += [{"token": "x", "bytes": None, "logprob": -1.5}]
    written = json.dumps({"role": "assistant", "content": '"😀"x'})
    choice = f'{{"message": {written}, "logprobs": {{"content": {json.dumps(rows)}}}}}'
    text = {"type": "output_text", "text": '"😀"x', "logprobs": rows}
    output = json.dumps([{"type": "message", "content": [text]}])
    told = f'{{"choices": [{choice}], "status": "completed", "output": {output}}}'
    models.script(Reply(body=told))
    answer = complete(vendor, models, gives=TOLD, top_logprobs=0)
    assert [token.text for token in answer.logprobs or ()] == ['"', "😀", '"', "x"]
    assert "".join(token.text for token in answer.logprobs or ()) == answer.text


DETAILS = {
    "openai": Usage(input_tokens=100, output_tokens=20, cached_input_tokens=10, reasoning_tokens=8),
    "openai_compatible": Usage(
        input_tokens=100,
        output_tokens=20,
        input_by_modality={"audio": 30},
        cached_input_tokens=10,
        reasoning_tokens=8,
    ),
    "gemini": Usage(
        input_tokens=100,
        output_tokens=25,
        input_by_modality={"text": 40, "audio": 20, "video": 40},
        cached_input_tokens=10,
        reasoning_tokens=5,
    ),
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_tokens_are_told_by_modality_as_far_as_the_vendor_tells_them(vendor: str, models: FakeModels) -> None:
    models.script(Reply(details=True))
    assert complete(vendor, models).usage == DETAILS[vendor]


def test_asking_for_logprobs_changes_the_question_and_declaring_them_does_not() -> None:
    def digest(**changes: Any) -> str:
        return annotation_request(make_sample(), taxonomy(), section(**changes)).digest

    assert digest() == digest(gives=TOLD)
    assert len({digest(), digest(gives=TOLD, top_logprobs=0), digest(gives=TOLD, top_logprobs=5)}) == 3
    assert len({digest(), digest(gives=()), digest(gives=("json_object",))}) == 3
    assert digest(gives=("json_object", "json_schema")) == digest()


FAILED = [
    ("server_error", "server_error", True),
    ("rate_limit_exceeded", "rate_limited", True),
    ("invalid_prompt", "bad_request", False),
    ("image_content_policy_violation", "bad_request", False),
]


@pytest.mark.parametrize(("told", "code", "transient"), FAILED)
def test_a_response_that_says_that_it_failed(
    told: str, code: str, transient: bool, models: FakeModels
) -> None:
    error = {"code": told, "message": "so it is"}
    models.script(Reply(body=json.dumps({"status": "failed", "error": error, "output": []})))
    found = failure("openai", models)
    assert (found.code, found.transient, "so it is" in found.message) == (code, transient, True)


def test_an_answer_that_is_incomplete_for_no_told_reason_says_so(models: FakeModels) -> None:
    models.script(Reply(body=json.dumps({"status": "incomplete", "incomplete_details": None, "output": []})))
    assert complete("openai", models).finish_reason == "incomplete"


@pytest.mark.parametrize("vendor", ["openai", "openai_compatible"])
def test_an_error_that_comes_with_status_200_is_that_error(vendor: str, models: FakeModels) -> None:
    for code in (402, 429, 502, 200, "x"):
        models.script(Reply(body=json.dumps({"error": {"code": code, "message": "so it is"}})))
    found = [failure(vendor, models) for _ in range(5)]
    codes = ["quota_exhausted", "rate_limited", "unavailable", "bad_reply", "bad_reply"]
    assert [error.code for error in found] == codes
    assert found[0].message == "HTTP 402: so it is"


@pytest.mark.parametrize("status", ["in_progress", "queued", "cancelled"])
def test_a_response_that_has_not_ended_is_no_answer(status: str, models: FakeModels) -> None:
    models.script(Reply(body=json.dumps({"status": status, "output": []})))
    assert failure("openai", models).code == "bad_reply"


@pytest.mark.parametrize(
    ("vendor", "changes", "setting", "remedy"),
    [
        ("openai", {"takes": ("text", "audio")}, "takes", "openai_compatible"),
        ("openai", {"takes": ("video",)}, "takes", "images"),
        ("openai", {"seed": 1}, "seed", "openai_compatible"),
        ("openai_compatible", {"takes": ("video",), "base_url": None}, "takes", "images"),
    ],
)
def test_what_a_protocol_has_no_place_for_is_told_before_anything_is_sent(
    vendor: str, changes: dict[str, Any], setting: str, remedy: str, models: FakeModels
) -> None:
    with pytest.raises(UserError) as caught:
        complete(vendor, models, **changes)
    assert (caught.value.code, caught.value.place) == ("cannot", (setting,))
    assert remedy in caught.value.remedy
    assert models.requests == []


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_provider_refuses_an_option_that_it_does_not_know(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("GEMINI_API_KEY", "k")
    model = "lexicon" if provider == "cues" else "m"
    with pytest.raises(UserError, match='knows no option "zzz"') as caught:
        Model(section(provider, model=model, options={"zzz": 1})).open()
    assert (caught.value.code, caught.value.place) == ("unknown_option", ("options", "zzz"))
    known = resolve(PROVIDERS, provider, what="provider").options.model_fields
    assert caught.value.remedy == f"known here: {', '.join(sorted(known)) or 'none'}"


@pytest.mark.parametrize("provider", ["openai", "openai_compatible"])
@pytest.mark.parametrize("name", ["model", "messages", "input", "instructions"])
def test_what_is_added_to_a_body_is_not_the_question(provider: str, name: str, models: FakeModels) -> None:
    with pytest.raises(UserError, match="the question itself") as caught:
        complete(provider, models, options={"extra_body": {name: []}})
    assert (caught.value.code, caught.value.place) == ("bad_option", ("options", "extra_body"))


HEAD = """[[annotators]]
name = "first"
provider = "cues"
model = "lexicon"

[[annotators]]
name = "a"
provider = "gemini"
model = "m"
api_key_env = "WIRE_TEST_KEY"
"""
PLACES = [
    ("options = { video_fsp = 2.0 }", "unknown_option", 'did you mean "video_fps"?', 11),
    (
        '\n[annotators.options]\nvideo_fps = 2.0\napi_versoin = "v1"',
        "unknown_option",
        'did you mean "api_version"?',
        14,
    ),
    (
        "\n[annotators.options]\nmedia_resolution = 'high'\nvideo_fps = 200",
        "bad_option",
        "see docs/providers.md",
        14,
    ),
    ("gives = ['json_schema']\ntop_logprobs = 5", "bad_setting", 'add "logprobs" to gives', 12),
    ("gives = ['json_shema']", "bad_setting", "given: 'json_shema'", 11),
]


@pytest.mark.parametrize(("text", "code", "remedy", "line"), PLACES)
def test_a_wrong_option_is_told_with_file_and_line(
    text: str, code: str, remedy: str, line: int, tmp_path: Path
) -> None:
    file = tmp_path / "emotrace.toml"
    file.write_text(f"{HEAD}{text}\n")
    with pytest.raises(UserError) as caught:
        preflight(tmp_path, load_settings(tmp_path))
    error = caught.value
    assert (error.code, error.remedy, error.file, error.line) == (code, remedy, str(file), line)
