"""Which family a model is of."""

from __future__ import annotations

import pytest

from agents.judges.families import RULES, families, family_of, kinship
from tests.wire.material import section


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4o-2024-11-20", "gpt"), ("chatgpt-4o-latest", "gpt"), ("o3-mini", "gpt"),
        ("openai/gpt-oss-120b", "gpt"),
        ("ft:gpt-4o-mini:org::abc", "gpt"), ("models/gemini-2.5-flash", "gemini"),
        ("google/gemma-3-27b-it", "gemini"),
        ("claude-sonnet-4", "claude"), ("Qwen/Qwen2.5-Omni-7B", "qwen"), ("QVQ-72B-Preview", "qwen"),
        ("meta-llama/Llama-3.2-11B-Vision-Instruct", "llama"), ("llama3.2-vision:latest", "llama"),
        ("DAMO-NLP-SG/VideoLLaMA3-7B", "video-llama qwen"), ("Emotion-LLaMA", "llama"), ("R1-Omni-0.5B", "qwen"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "deepseek qwen"), ("deepseek-chat", "deepseek"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "deepseek llama"),
        ("OpenGVLab/InternVL3-8B", "intern qwen"), ("OpenGVLab/InternVL3-9B", "intern"),
        ("OpenGVLab/InternVL3_5-GPT-OSS-20B-A4B-Preview", "intern gpt"),
        ("openai/o3", "gpt"), ("openai/o4-mini", "gpt"), ("EleutherAI/gpt-neox-20b", None),
        ("mistralai/Pixtral-12B-2409", "mistral"),
        ("openbmb/MiniCPM-o-2_6", "minicpm qwen"), ("minicpm-v:8b", "minicpm qwen"),
        ("minicpm-v", "minicpm qwen"),
        ("openbmb/MiniCPM-V-4_5", "minicpm qwen"), ("openbmb/MiniCPM-Llama3-V-2_5", "minicpm llama"),
        ("openbmb/MiniCPM-V-2", "minicpm"), ("moonshotai/Kimi-Audio-7B-Instruct", "kimi qwen"),
        ("moonshotai/Kimi-VL-A3B-Instruct", "kimi"), ("OpenGVLab/InternVL2_5-8B", "intern"),
        ("OpenGVLab/InternVL2_5-38B", "intern qwen"), ("OpenGVLab/InternVL2-1B", "intern qwen"),
        ("OpenGVLab/InternVL2_5-2B", "intern"), ("OpenGVLab/InternVL2-4B", "intern phi"),
        ("OpenGVLab/InternVL2-Llama3-76B", "intern llama"), ("OpenGVLab/InternVL2-40B", "intern yi"),
        ("zai-org/glm-4v", "glm"),
        ("microsoft/Phi-4-multimodal-instruct", "phi"),
        ("llava-hf/llava-1.5-7b-hf", "llama"), ("llava:7b", None),
        ("HuggingFaceTB/SmolVLM2-2.2B-Instruct", "smol"),
        ("my-finetune", None), ("egpt", None), ("sphinx", None), ("phantom", None), ("m1", None),
    ],
)  # fmt: skip
def test_families_by_name(model: str, family: str | None) -> None:
    assert family_of(section(model=model)) == family


def test_what_is_set_counts_before_the_name_and_rules_are_of_no_family() -> None:
    assert family_of(section(model="gpt-4o", family="Llama")) == "llama"
    assert family_of(section("cues", model="lexicon")) == RULES
    assert family_of(section("scripted", model="anything")) is None


@pytest.mark.parametrize(
    ("judge", "annotator", "expected"),
    [
        ("gpt", "gpt", "same_family"), ("gpt", "qwen", "other_family"), (None, "gpt", "family_unknown"),
        ("gpt", None, "family_unknown"), (None, None, "family_unknown"), (RULES, RULES, "other_family"),
        (None, RULES, "other_family"), (RULES, None, "other_family"), ("deepseek qwen", "qwen", "same_family"),
        ("intern qwen", "deepseek qwen", "same_family"), ("deepseek qwen", "llama", "other_family"),
    ],
)  # fmt: skip
def test_kinship(judge: str | None, annotator: str | None, expected: str) -> None:
    assert kinship(judge, annotator) == expected


def test_the_table_is_in_small_letters_and_whole() -> None:
    for row in families():
        assert row.pattern.pattern == row.pattern.pattern.lower()
        assert row.name
