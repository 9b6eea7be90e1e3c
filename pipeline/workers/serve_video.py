# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["torch==2.15.0", "torchvision==0.29.2", "transformers==5.24.0", "llguidance==1.9.1", "av>=15,<19", "pillow>=11", "numpy>=2,<3", "num2words==0.5.14"]
# ///
# ruff: noqa: E501  (uv reads the list from one line)
"""Serve a model that sees video, or hears, from Hugging Face transformers by OpenAI's chat completions.

Usage: uv run --script serve_video.py --model FOLDER_OR_HUB_NAME [--port 8000]

For models that no faster server runs here, and for machines without one: one question at a time. A model is a
folder in the hub's layout, or a name on the hub; that is looked for in the hub's cache, and fetched with
--download alone. Code that comes with a model is not run unless --trust-remote-code says so; weights are read
from safetensors alone. What a question holds comes with it as bytes: nothing is fetched from any address.

Answers are held to a JSON schema while they are written (llguidance). Log-probabilities are the model's own,
before temperature and schema. Of a video, frames at `fps` (2 unless the question says otherwise) are looked at,
64 at most (`max_frames`), with their presentation times.

At the start it prints the section for a project file, with what the model takes and the server gives.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import ipaddress
import os
import re
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if "--download" not in sys.argv:
    os.environ["HF_HUB_OFFLINE"] = "1"

import chat_media
import numpy as np
import torch
from chat_protocol import MAX_TOKENS, Answer, Question, RefusedError, Token
from chat_server import Served, section, serve
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from jinja2 import TemplateError
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from transformers import (
    AutoConfig,
    AutoModelForMultimodalLM,
    AutoProcessor,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.video_utils import VideoMetadata

WANTED_FILES = ("*.json", "*.jinja", "*.safetensors", "*.model", "*.txt", "README.md")
DTYPES = ("auto", "bfloat16", "float16", "float32")
CLOCK_HZ = 1000  # of the times that a processor is told
GIVES = ("json_schema", "json_object", "logprobs")
# One way to write JSON, or a model may go on with blanks for ever.
WRITTEN = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class FatalError(Exception):
    """The server cannot start: one line for people."""


# --- writing an answer --------------------------------------------------------------------------------


class Pen(LogitsProcessor):
    """Sees every token before it is chosen: keeps its log-probability, and what a schema does not allow away."""

    def __init__(
        self, vocabulary: LLTokenizer, prompt_tokens: int, matcher: LLMatcher | None, top: int | None
    ) -> None:
        self._vocabulary, self._prompt_tokens, self._matcher, self._top = (
            vocabulary,
            prompt_tokens,
            matcher,
            top,
        )
        self._logprobs: torch.Tensor | None = None
        self.written: list[tuple[int, Token]] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.follow(input_ids)
        if self._top is not None:
            self._logprobs = torch.log_softmax(scores[0].float(), -1)
        if self._matcher is None:
            return scores
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._matcher.is_error():
            raise RuntimeError(f"the schema's grammar gave up: {self._matcher.get_error()}")
        allowed = torch.zeros(scores.shape[-1], dtype=torch.bool)
        listed = torch.from_numpy(np.unpackbits(bits, bitorder="little").astype(bool))[: len(allowed)]
        allowed[: len(listed)] = listed
        return scores.masked_fill(~allowed.to(scores.device), -torch.inf)

    def follow(self, input_ids: torch.Tensor) -> None:
        """Take note of the token that was chosen since."""
        for token in input_ids[0, self._prompt_tokens + len(self.written) :].tolist():
            if self._matcher is not None:
                self._matcher.consume_token(token)
            data = b"" if self._vocabulary.is_special_token(token) else self._vocabulary.decode_bytes([token])
            self.written.append((token, Token(data, *self._likely(token))))

    def _likely(self, token: int) -> tuple[float, tuple[tuple[bytes, float], ...]]:
        if self._logprobs is None or self._top is None:
            return 0.0, ()
        top = torch.topk(self._logprobs, self._top)
        others = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        told = tuple((self._vocabulary.decode_bytes([other]), likely) for other, likely in others)
        return float(self._logprobs[token]), told


class Leaving(StoppingCriteria):
    """Nobody waits any more."""

    def __init__(self, gone: Callable[[], bool]) -> None:
        self._gone = gone

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:  # noqa: ARG002
        return torch.full((len(input_ids),), self._gone(), dtype=torch.bool, device=input_ids.device)


class VideoModel:
    """A model with its processor, on one device."""

    def __init__(self, folder: Path, *, device: str, dtype: str, trust_remote_code: bool) -> None:
        """Raises FatalError: it cannot be loaded, or its tokenizer cannot be held to a schema."""
        told: dict[str, Any] = {"trust_remote_code": trust_remote_code, "local_files_only": True}
        try:
            config = AutoConfig.from_pretrained(folder, **told)
            config = getattr(config, "thinker_config", config)  # of an omni model the part that writes
            self.processor = AutoProcessor.from_pretrained(folder, **told)
            model = AutoModelForMultimodalLM.from_pretrained(
                folder, config=config, dtype=dtype, use_safetensors=True, **told
            )
            self.model = model.to(device).eval()
        except (
            Exception
        ) as error:  # whatever the library raises for files, or for a device, that it cannot use
            raise FatalError(f"{folder} cannot be loaded on {device}: {one_line(error)}") from error
        self.tokenizer = getattr(self.processor, "tokenizer", self.processor)
        ends = self.model.generation_config.eos_token_id or self.tokenizer.eos_token_id
        self.ends = ends if isinstance(ends, list) else [ends]
        try:
            self.vocabulary = from_tokenizer(self.tokenizer, eos_token=self.ends)
        except ValueError as error:
            raise FatalError(f"the tokenizer of {folder} is not usable: {one_line(error)}") from error
        text = config.get_text_config()
        self.context_tokens = getattr(text, "max_position_embeddings", None) or sys.maxsize

    @property
    def takes(self) -> tuple[str, ...]:
        """By the parts of its processor, in the words of a project file."""
        parts = {"images": "image_processor", "audio": "feature_extractor", "video": "video_processor"}
        found = [kind for kind, part in parts.items() if getattr(self.processor, part, None) is not None]
        return ("text", *found)

    @torch.inference_mode()
    def answer(self, question: Question, gone: Callable[[], bool]) -> Answer:
        """Raises RefusedError: media that cannot be read, too long a prompt, a schema that no grammar is made of."""
        matcher = None if question.schema is None else self._matcher(question.schema)
        inputs = self._inputs(question)
        prompt = inputs["input_ids"][0]
        most = question.max_tokens or max(1, min(MAX_TOKENS, self.context_tokens - len(prompt)))
        if len(prompt) + most > self.context_tokens:
            message = f"{len(prompt)} tokens and {most} of the answer are more than {self.context_tokens}"
            raise RefusedError(message, "context_length_exceeded")
        pen = Pen(self.vocabulary, len(prompt), matcher, question.top_logprobs)
        if question.seed is not None:
            torch.manual_seed(question.seed)
        else:
            torch.seed()
        try:
            ids = self.model.generate(
                **inputs,
                generation_config=self._sampling(question, most),
                logits_processor=LogitsProcessorList([pen]),
                stopping_criteria=StoppingCriteriaList([Leaving(gone)]),
            )
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            message = (
                f"the memory of the device does not suffice for {len(prompt)} tokens: lower fps or max_frames"
            )
            raise RefusedError(message, "out_of_memory") from error
        except ValueError as error:  # pictures beside a video, say, where a model tells them apart by nothing
            message = f"the model refuses this: {one_line(error)}"
            raise RefusedError(message, "unsupported_value", param="messages") from error
        pen.follow(ids)
        return self._said(pen, prompt, question)

    def _said(self, pen: Pen, prompt: torch.Tensor, question: Question) -> Answer:
        ended = bool(pen.written) and pen.written[-1][0] in self.ends
        tokens = tuple(token for _, token in pen.written if token.data)
        return Answer(
            text=b"".join(token.data for token in tokens).decode("utf-8", "replace"),
            finish_reason="stop" if ended else "length",
            prompt_tokens=len(prompt),
            completion_tokens=len(pen.written),
            by_modality=self._by_modality(prompt, question),
            tokens=None if question.top_logprobs is None else tokens,
        )

    def _matcher(self, schema: dict[str, Any]) -> LLMatcher:
        try:
            grammar = LLMatcher.grammar_from_json_schema(schema, overrides=WRITTEN)
            matcher = LLMatcher(self.vocabulary, grammar, log_level=0)
            if not matcher.is_error():
                matcher.compute_bitmask()  # a schema that goes round in a circle is found out here
            if matcher.is_error():
                raise ValueError(matcher.get_error())
        except ValueError as error:
            message = f"no grammar can be made of the schema: {one_line(error)}"
            raise RefusedError(message, "unsupported_schema", param="response_format") from error
        return matcher

    def _inputs(self, question: Question) -> Any:
        """The prompt with its media as tensors on the device."""
        videos, room = list[chat_media.Video](), chat_media.Room()
        conversation = [
            {"role": one.role, "content": [self._part(piece, question, videos, room) for piece in one.pieces]}
            for one in question.messages
        ]
        told: dict[str, Any] = {}
        if videos:
            told["do_sample_frames"] = False  # it is done
            told["video_metadata"] = [metadata(video) for video in videos]
            told["fps"] = sum(map(sampled_fps, videos)) / len(videos)
        try:
            inputs = self.processor.apply_chat_template(
                conversation,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                sanitize_control_tokens=True,  # what people say is text, whatever it looks like
                processor_kwargs=told,
            )
        except (ValueError, TemplateError) as error:
            message = f"the model's processor refuses this: {one_line(error)}"
            raise RefusedError(message, "unsupported_value", param="messages") from error
        return inputs.to(self.model.device, dtype=self.model.dtype)

    def _part(
        self, piece: Any, question: Question, videos: list[chat_media.Video], room: chat_media.Room
    ) -> dict[str, Any]:
        if piece.kind == "text":
            return {"type": "text", "text": piece.text}
        if piece.kind == "image":
            return {"type": "image", "image": chat_media.picture(piece.data, room)}
        if piece.kind == "audio":
            rate_hz = self.processor.feature_extractor.sampling_rate
            return {"type": "audio", "audio": chat_media.sound(piece.data, rate_hz, room)}
        videos.append(chat_media.frames(piece.data, question.fps, question.max_frames, room))
        return {"type": "video", "video": videos[-1].pictures}

    def _sampling(self, question: Question, most: int) -> Any:
        """What the question says, else what the model's makers say."""
        chosen = copy.deepcopy(self.model.generation_config)
        chosen.max_new_tokens, chosen.max_length = most, None
        chosen.eos_token_id, chosen.pad_token_id = self.ends, self.ends[0]
        chosen.return_dict_in_generate = False
        if question.temperature is not None:
            chosen.do_sample = question.temperature > 0
            chosen.temperature = question.temperature or None
        if question.top_p is not None:
            chosen.top_p = question.top_p
        if not chosen.do_sample:
            chosen.temperature = chosen.top_p = chosen.top_k = None
        return chosen

    def _by_modality(self, prompt: torch.Tensor, question: Question) -> dict[str, int]:
        """How many tokens of the prompt stand for what; empty where pictures and video have the same ones."""
        asked = {piece.kind for message in question.messages for piece in message.pieces} - {"text"}
        ids = {kind: self._placeholder(kind) for kind in ("image", "video", "audio")}
        found = {kind: int((prompt == token).sum()) for kind, token in ids.items() if token is not None}
        if "video" in asked and not found.get("video"):
            if "image" in asked:
                return {}
            found["video"] = found.pop("image", 0)
        media = {kind: count for kind, count in found.items() if count}
        return {"text": len(prompt) - sum(media.values()), **media}

    def _placeholder(self, kind: str) -> int | None:
        token = getattr(self.processor, f"{kind}_token_id", None)
        if token is None and (name := getattr(self.processor, f"{kind}_token", None)):
            token = self.tokenizer.convert_tokens_to_ids(name)
        return token


def metadata(video: chat_media.Video) -> VideoMetadata:
    """The times of the frames as a processor reads them: numbers of the ticks of a clock."""
    ticks = [round(time_s * CLOCK_HZ) for time_s in video.times_s]
    length = max(1, round(video.duration_s * CLOCK_HZ))
    return VideoMetadata(length, fps=CLOCK_HZ, duration=video.duration_s, frames_indices=ticks)


def sampled_fps(video: chat_media.Video) -> float:
    return len(video.times_s) / max(video.duration_s, 1 / CLOCK_HZ)


def one_line(error: object) -> str:
    return " ".join(str(error).split())[:400]


# --- the model's files --------------------------------------------------------------------------------


def folder_of(name: str, revision: str | None, download: bool) -> Path:
    """Where the files of a model lie; fetched when that is wanted, after size and licence are told."""
    if Path(name).is_dir():
        return Path(name)
    try:
        if download:
            tell_download(name, revision)
        found = snapshot_download(
            name, revision=revision, allow_patterns=list(WANTED_FILES), local_files_only=not download
        )
    except LocalEntryNotFoundError as error:
        message = f"{name} is no folder and not in the hub's cache: --download fetches it from the hub"
        raise FatalError(message) from error
    except Exception as error:  # of the network, the hub, the disk
        raise FatalError(f"{name} cannot be fetched from the hub: {one_line(error)}") from error
    return Path(found)


def tell_download(name: str, revision: str | None) -> None:
    info = HfApi().model_info(name, revision=revision, files_metadata=True)
    wanted = [one for one in info.siblings or [] if any(Path(one.rfilename).match(p) for p in WANTED_FILES)]
    size_gb = sum(one.size or 0 for one in wanted) / 1e9
    print(f"downloading {name} at {info.sha}: {size_gb:.1f} GB; {licence(info.card_data or {})}", flush=True)


def licence(card: Any) -> str:
    named = [str(card[key]) for key in ("license", "license_name", "license_link") if card.get(key)]
    return f"licence as its card says: {' '.join(named)}" if named else "its card names no licence"


def card_of(folder: Path) -> dict[str, str]:
    """The plain entries at the head of a model card."""
    path = folder / "README.md"
    head = re.match(r"---\n(.*?)\n---", path.read_text("utf-8"), re.DOTALL) if path.is_file() else None
    return dict(re.findall(r"^(\w+): *(\S.*)$", head[1], re.MULTILINE)) if head else {}


def version_of(folder: Path) -> str:
    """Which weights these are: the commit of the hub, or else the SHA-256 of all files."""
    if folder.parent.name == "snapshots":
        return folder.name[:12]
    found = hashlib.sha256()
    names = {path.name: path for pattern in WANTED_FILES[:-1] for path in folder.glob(pattern)}
    for name in sorted(names):
        with names[name].open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found.update(f"{name} {digest}\n".encode())
    return found.hexdigest()[:12]


def device_of(wanted: str) -> str:
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise FatalError("no CUDA device is usable here: --device cpu")
    return wanted


# --- the process --------------------------------------------------------------------------------------


def arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--model", required=True, help="a folder in the hub's layout, or a name on the hub")
    add("--name", help="what questions call it; default: the model, or the folder's name")
    add("--revision", help="commit, tag or branch on the hub")
    add("--download", action="store_true", help="fetch it from the hub where it is not in the cache")
    add("--trust-remote-code", action="store_true", help="run the code that comes with the model")
    add("--host", default="127.0.0.1", help="where to listen; another than this machine needs --api-key-env")
    add("--port", type=int, default=8000, help="0: any that is free")
    add("--api-key-env", help="the variable that holds the key which every question must show")
    add("--queue", type=int, default=8, help="how many questions may wait; more are told to come again")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    add("--dtype", default="auto", choices=DTYPES, help="auto: as the weights are stored")
    return parser.parse_args(given)


def key_of(chosen: argparse.Namespace) -> str:
    key = os.environ.get(chosen.api_key_env, "") if chosen.api_key_env else ""
    if chosen.api_key_env and not key:
        raise FatalError(f"{chosen.api_key_env} is not set")
    if not is_local(chosen.host) and not key:
        raise FatalError("a server that others reach needs a key: --api-key-env NAME")
    return key


def is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may mean any machine
        return False


def look_at(host: str, port: int) -> None:
    """Before a model is loaded, which takes long. Raises FatalError: nothing can listen there."""
    try:
        socket.create_server((host, port)).close()
    except (OSError, OverflowError) as error:
        raise FatalError(f"nothing can listen on {host} port {port}: {one_line(error)}") from error


def run(chosen: argparse.Namespace) -> None:
    key, device = key_of(chosen), device_of(chosen.device)
    look_at(chosen.host, chosen.port)
    folder = folder_of(chosen.model, chosen.revision, chosen.download)
    name = chosen.name or (folder.name if Path(chosen.model).is_dir() else chosen.model)
    print(f"loading {folder} on {device}; {licence(card_of(folder))}", flush=True)
    model = VideoModel(folder, device=device, dtype=chosen.dtype, trust_remote_code=chosen.trust_remote_code)
    served = Served(name, version_of(folder), model.takes, GIVES, model.answer)
    server = serve(served, chosen.host, chosen.port, places=max(0, chosen.queue), key=key)
    url = f"http://{chosen.host}:{server.server_port}/v1"
    print(section(served, url, chosen.api_key_env))
    print(f"listening on {url}", flush=True)
    try:
        server.serve_forever()
    finally:
        server.server_close()


def main() -> None:
    try:
        run(arguments(sys.argv[1:]))
    except FatalError as error:
        sys.exit(f"serve_video: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
