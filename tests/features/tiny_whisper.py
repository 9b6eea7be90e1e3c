"""A Whisper model of 1.6 MB that says one sentence with known word times, made without torch.

Every position of the decoder writes one fixed token, because its position encoding points along that token's
embedding; the cross attention compares the same directions with those that the encoder's position encoding
holds, so the words are aligned to chosen times. What is heard plays no part.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import WhisperSpec
from faster_whisper.tokenizer import _LANGUAGE_CODES
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

WIDTH = 64
FRAMES_PER_S = 50
SENTENCE = {"hello": (0.0, 1.2), "tiny": (1.2, 2.0), "world.": (2.0, 4.4)}  # word -> time in s
_LAST_TIME = "<|9.00|>"
EMPTY = ""  # a token that multilingual Whisper has and the English one has not; CTranslate2 tells them by it


Sentence = Mapping[str, tuple[float, float]]


def make_tiny_whisper(folder: Path, language: str | None = None, *, sentence: Sentence = SENTENCE) -> Path:
    """Write the model into `folder` and return the folder.

    It knows English only; with a `language` it is multilingual and hears this one in everything.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(sentence, multilingual=language is not None)
    tokenizer.save(str(folder / "tokenizer.json"))
    spec = WhisperSpec(1, 2, 1, 2)  # layers and heads of encoder and decoder
    rng = np.random.default_rng(0)
    _fill_layers(spec, rng)
    _fill_sentence(spec, tokenizer, rng, sentence, language)
    names = {number: name for name, number in tokenizer.get_vocab().items()}
    spec.register_vocabulary([names[i] for i in range(len(names))])
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [tokenizer.token_to_id("<|endoftext|>")]
    spec.config.lang_ids = [tokenizer.token_to_id(f"<|{code}|>") for code in _LANGUAGE_CODES]
    spec.config.alignment_heads = [(0, 0), (0, 1)]
    spec.validate()
    spec.save(str(folder))
    return folder


def _tokenizer(sentence: Sentence, *, multilingual: bool) -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    # A word is one token: each of its beginnings and the next letter merge.
    merges = [(f"Ġ{word}"[:k], word[k - 1]) for word in sentence for k in range(1, len(word) + 1)]
    names = [*alphabet, *("".join(pair) for pair in merges), *([EMPTY] if multilingual else [])]
    tokenizer = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    before = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in _LANGUAGE_CODES)]
    after = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    special = [*before, *(f"<|{name}|>" for name in after)]
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in special])
    tokenizer.add_tokens([f"<|{i * 0.02:.2f}|>" for i in range(1501)])
    return tokenizer


def _linear(layer: Any, outputs: int, inputs: int) -> None:
    layer.weight = np.zeros((outputs, inputs), np.float32)
    layer.bias = np.zeros(outputs, np.float32)


def _norm(layer: Any, gain: float = 1.0) -> None:
    layer.gamma = np.full(WIDTH, gain, np.float32)
    layer.beta = np.zeros(WIDTH, np.float32)


def _block(layer: Any) -> None:
    """Self attention and feed-forward part that add nothing to the residual stream."""
    _norm(layer.self_attention.layer_norm)
    _linear(layer.self_attention.linear[0], 3 * WIDTH, WIDTH)
    _linear(layer.self_attention.linear[1], WIDTH, WIDTH)
    _norm(layer.ffn.layer_norm)
    _linear(layer.ffn.linear_0, 4 * WIDTH, WIDTH)
    _linear(layer.ffn.linear_1, WIDTH, 4 * WIDTH)


def _fill_layers(spec: WhisperSpec, rng: np.random.Generator) -> None:
    for convolution, inputs in ((spec.encoder.conv1, 80), (spec.encoder.conv2, WIDTH)):
        convolution.weight = (rng.standard_normal((WIDTH, inputs, 3)) * 0.05).astype(np.float32)
        convolution.bias = np.zeros(WIDTH, np.float32)
    _norm(spec.encoder.layer_norm)
    _norm(spec.decoder.layer_norm, gain=4.0)  # sharp enough that no other token comes near
    _block(spec.encoder.layer[0])
    _block(spec.decoder.layer[0])
    cross = spec.decoder.layer[0].attention
    _norm(cross.layer_norm)
    for i, rows in enumerate((1, 2, 1)):
        _linear(cross.linear[i], rows * WIDTH, WIDTH)
    cross.linear[0].weight[:] = np.eye(WIDTH)  # queries
    cross.linear[1].weight[:WIDTH] = np.eye(WIDTH)  # keys; the values stay zero


def _fill_sentence(
    spec: WhisperSpec,
    tokenizer: Tokenizer,
    rng: np.random.Generator,
    sentence: Sentence,
    language: str | None,
) -> None:
    directions = rng.standard_normal((tokenizer.get_vocab_size(), WIDTH))
    directions = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
    spec.decoder.embeddings.weight = directions
    spec.decoder.projection.weight = directions.copy()
    ids = {word: tokenizer.token_to_id(f"Ġ{word}") for word in sentence}
    first, last, end = (tokenizer.token_to_id(name) for name in ("<|0.00|>", _LAST_TIME, "<|endoftext|>"))
    # A multilingual decoder is asked for the language first, and is then told it and the task.
    before = [tokenizer.token_to_id(f"<|{language}|>"), first] if language else []
    spoken = [*before, first, *ids.values(), last, end]
    spec.decoder.position_encodings.encodings = (
        20 * directions[[spoken[min(k, len(spoken) - 1)] for k in range(448)]]
    )
    heard = np.repeat(20 * directions[[last]], 1500, axis=0)
    for word, (start_s, end_s) in sentence.items():
        heard[round(start_s * FRAMES_PER_S) : round(end_s * FRAMES_PER_S)] = 20 * directions[ids[word]]
    spec.encoder.position_encodings.encodings = heard
