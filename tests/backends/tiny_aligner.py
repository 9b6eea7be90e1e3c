"""Run in the speech worker's environment: writes a Wav2Vec2 aligner of random weights. Usage: FOLDER

It is a real model of the published kind, only tiny, so what it says of times is arbitrary, but always the same.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
)

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
names = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'"]
vocabulary = folder / "vocab.json"
vocabulary.write_text(json.dumps({name: number for number, name in enumerate(names)}), encoding="utf-8")
torch.manual_seed(0)
config = Wav2Vec2Config(
    vocab_size=len(names),
    pad_token_id=0,
    hidden_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    conv_dim=(16,) * 7,
    num_conv_pos_embeddings=16,
    num_conv_pos_embedding_groups=2,
)
Wav2Vec2ForCTC(config).save_pretrained(folder)
tokenizer = Wav2Vec2CTCTokenizer(str(vocabulary))
extractor = Wav2Vec2FeatureExtractor(feature_size=1, sampling_rate=16_000, do_normalize=True)
Wav2Vec2Processor(feature_extractor=extractor, tokenizer=tokenizer).save_pretrained(folder)
