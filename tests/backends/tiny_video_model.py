"""Models that see and hear, made on the spot: the published architectures, tiny, with random weights.

Usage: python tiny_video_model.py KIND FOLDER, in the environment of the worker `serve_video`.

What comes in moves what comes out, by chance alone. One thing is no chance: each likes to end what it has begun
(quotes, brackets), so that an answer that is held to a schema comes to its end.
"""

from __future__ import annotations

import string
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2_5OmniConfig,
    Qwen2_5OmniProcessor,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
    WhisperFeatureExtractor,
)

TEXTS = Path(__file__).parents[2] / "agents" / "prompts"
VOCABULARY = 1200
CONTEXT_TOKENS = 16_384
LIKED = {'"': 6.0, "]": 5.5, "}": 5.0, ",": 4.5}  # more than chance has to offer
SIZE = 32
TEXT: dict[str, Any] = {
    "hidden_size": SIZE,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": CONTEXT_TOKENS,
}
ROPE = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]}
QWEN_VISION: dict[str, Any] = {
    "depth": 2,
    "hidden_size": SIZE,
    "intermediate_size": 64,
    "num_heads": 2,
    "out_hidden_size": SIZE,
    "fullatt_block_indexes": [1],
}
CHAT = """{% for message in messages %}<|im_start|>{{ message['role'] }}
{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}\
PARTS{% endif %}{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def tokenizer(**named: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE of emotrace's own prompts; `named` are the special tokens of the media."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = sorted(path for path in TEXTS.rglob("*") if path.suffix in (".toml", ".md", ".txt", ".jinja"))
    made.train([str(path) for path in texts], trainer)
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *named.values()]
    made.add_special_tokens([AddedToken(one, special=True, normalized=False) for one in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=CONTEXT_TOKENS,
        extra_special_tokens=named,
    )


def chat(**parts: str) -> str:
    """A template with what stands for each kind of part."""
    written = "".join(f"{{% elif part['type'] == '{kind}' %}}{token}" for kind, token in parts.items())
    return CHAT.replace("PARTS", written)


def qwen2_5_vl() -> tuple[Any, Any]:
    pad = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
    tokens = tokenizer(**pad, vision_start="<|vision_start|>", vision_end="<|vision_end|>")
    ids = {f"{name}_id": tokens.convert_tokens_to_ids(token) for name, token in pad.items()}
    ids |= {
        f"vision_{end}_token_id": tokens.convert_tokens_to_ids(f"<|vision_{end}|>")
        for end in ("start", "end")
    }
    text = {**TEXT, "vocab_size": len(tokens), "rope_parameters": ROPE}
    model = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(text_config=text, vision_config=QWEN_VISION, **ids)
    )
    around = {kind: f"<|vision_start|>{pad[f'{kind}_token']}<|vision_end|>" for kind in ("image", "video")}
    few = {"shortest_edge": 28 * 28, "longest_edge": 16 * 28 * 28}
    return model, Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(size=few),
        tokens,
        Qwen2VLVideoProcessor(size={**few, "longest_edge": 64 * 28 * 28}),
        chat_template=chat(**around),
    )


def qwen2_5_omni() -> tuple[Any, Any]:
    pad = {kind: f"<|{kind.upper()}|>" for kind in ("image", "video", "audio")}
    ends = {
        f"{kind}_{end}_token": f"<|{kind}_{end}|>" for kind in ("vision", "audio") for end in ("bos", "eos")
    }
    tokens = tokenizer(**{f"{kind}_token": token for kind, token in pad.items()}, **ends)
    ids = {f"{kind}_token_index": tokens.convert_tokens_to_ids(token) for kind, token in pad.items()}
    ids["audio_start_token_id"] = tokens.convert_tokens_to_ids("<|audio_bos|>")
    ids["audio_end_token_id"] = tokens.convert_tokens_to_ids("<|audio_eos|>")
    ids["vision_start_token_id"] = tokens.convert_tokens_to_ids("<|vision_bos|>")
    audio = {"d_model": SIZE, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 64}
    text = {**TEXT, "vocab_size": len(tokens), "rope_parameters": ROPE}
    thinker = {
        "text_config": text,
        "vision_config": QWEN_VISION,
        "audio_config": {**audio, "output_dim": SIZE},
        **ids,
    }
    config = Qwen2_5OmniConfig(thinker_config=thinker)
    model = Qwen2_5OmniThinkerForConditionalGeneration(config.thinker_config)
    around = {kind: f"<|vision_bos|>{pad[kind]}<|vision_eos|>" for kind in ("image", "video")}
    few = {"shortest_edge": 28 * 28, "longest_edge": 16 * 28 * 28}
    processor = Qwen2_5OmniProcessor(
        Qwen2VLImageProcessor(size=few),
        Qwen2VLVideoProcessor(size=few),
        WhisperFeatureExtractor(feature_size=128),
        tokens,
        chat_template=chat(**around, audio=f"<|audio_bos|>{pad['audio']}<|audio_eos|>"),
    )
    return model, processor


def siglip(size: int, patch: int) -> dict[str, Any]:
    small = {"hidden_size": SIZE, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    return {**small, "image_size": size, "patch_size": patch}


def smolvlm() -> tuple[Any, Any]:
    named = {"image_token": "<image>", "fake_image_token": "<fake_token_around_image>"}
    named |= {"global_image_token": "<global-img>", "end_of_utterance_token": "<end_of_utterance>"}
    tokens = tokenizer(**named, video_token="<video>")
    text = {**TEXT, "model_type": "llama", "vocab_size": len(tokens), "pad_token_id": 0}
    config = SmolVLMConfig(
        text_config=text,
        vision_config=siglip(64, 16),
        image_token_id=tokens.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    edge = {"longest_edge": 64}
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(size=edge, max_image_size=edge, do_image_splitting=False),
        tokens,
        SmolVLMVideoProcessor(size=edge, max_image_size=edge),
        image_seq_len=4,
        chat_template=chat(image="<image>", video="<video>"),
    )
    return SmolVLMForConditionalGeneration(config), processor


def llava_onevision() -> tuple[Any, Any]:
    tokens = tokenizer(image_token="<image>", video_token="<video>")
    config = LlavaOnevisionConfig(
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(tokens)},
        vision_config={"model_type": "siglip_vision_model", **siglip(56, 14), "vision_use_head": False},
        image_token_index=tokens.convert_tokens_to_ids("<image>"),
        video_token_index=tokens.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=[[56, 56]],
    )
    square = {"height": 56, "width": 56}
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=square, image_grid_pinpoints=[[56, 56]]),
        tokens,
        LlavaOnevisionVideoProcessor(size=square),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=chat(image="<image>", video="<video>"),
    )
    return LlavaOnevisionForConditionalGeneration(config), processor


KINDS = {one.__name__: one for one in (qwen2_5_vl, qwen2_5_omni, smolvlm, llava_onevision)}


def make_liked(model: Any, tokens: PreTrainedTokenizerFast) -> None:
    """Give each embedding one large number in common, by which the head likes some tokens more than others."""
    with torch.no_grad():
        embedded, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        embedded.normal_(std=0.5)
        head.normal_(std=0.3)
        embedded[:, 0], head[:, 0] = 4.0, 0.0
        for text, how_much in LIKED.items():
            head[tokens.convert_tokens_to_ids(text), 0] = how_much
        for letter in string.whitespace:
            head[tokens.encode(letter), 0] = -2.0


def as_published(model: Any, folder: Path) -> None:
    """The part that writes lies in the folder of the whole, which speaks as well."""
    weights = {f"thinker.{name}": tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    whole = Qwen2_5OmniConfig(thinker_config=model.config.to_dict())
    whole.save_pretrained(folder)


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    torch.manual_seed(7)
    model, processor = KINDS[kind]()
    make_liked(model, processor.tokenizer)
    end = processor.tokenizer.eos_token_id
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=end)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    if kind == "qwen2_5_omni":
        as_published(model, folder)


if __name__ == "__main__":
    main()
