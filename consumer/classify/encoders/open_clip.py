"""Any open_clip model as an encoder (Radford et al. 2021). The only module that imports open_clip."""

import copy
import difflib
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import huggingface_hub
import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torchvision.transforms.functional import to_pil_image

from consumer.classify.compute import engine as engines
from consumer.classify.compute import onednn
from consumer.classify.compute.calibration import Calibration
from consumer.classify.compute.device import LENGTHS, PART, SIZES, Device, on_cpu
from consumer.classify.compute.engine import Engine, Precision, Tower
from consumer.classify.encoders.encoder import Images, in_chunks_by_length
from consumer.classify.encoders.tokenizer import with_fast_words
from consumer.classify.pictures.levels import middle_square
from consumer.classify.places import TEMPLATES
from producer.base.errors import CommandError

log = logging.getLogger(__name__)

RANDOM = "random"
"""In place of weights: none. For benchmarks; the name says so in every label."""

HUB_TIMEOUT = 5.0
"""Seconds for the hub to answer; without a network its client alone would retry for a minute."""

CPU_TEXTS, CPU_OVERHEAD = 16, 29
"""Texts encoded together on a CPU at most, and the tokens that a chunk costs besides: 5.5 ms, at 0.19 ms for a token
(ViT-B-32, 2 cores)."""

Encode = Callable[[torch.Tensor], torch.Tensor]
"""A tower: a batch of pixels or tokens to vectors ``[n, d]``."""


class OpenClip:
    """An open_clip model.

    Args:
        model: an architecture that open_clip knows, e.g. ``ViT-B-32``.
        pretrained: a tag of its weights, the path of a checkpoint, or ``random``.
        device: a torch device.
        engine: what computes the towers.
        precision: of that; the name tells both, except torch's fp32.
        compiled: whether torch compiles the towers; takes minutes at the start.
        calibration: the pictures that int8 is fitted to; captions are in bf16 then.

    Raises:
        CommandError: one line: no such model or tag, a checkpoint that cannot be read or does not fit,
            weights that cannot be had, an engine that does not fit the precision, the device or the model.
    """

    default_threshold = 0.3
    default_templates = TEMPLATES["talk"]

    def __init__(
        self,
        model: str,
        pretrained: str,
        device: str = "cpu",
        engine: Engine = "torch",
        precision: Precision = "fp32",
        compiled: bool = False,
        calibration: Calibration | None = None,
    ) -> None:
        engines.check(engine, precision, device, compiled, calibration is not None)
        self._device = Device(device, "fp32" if engine == "openvino" else precision, compiled)
        self.identity = identity = identity_of(model, pretrained)
        self._loaded, self._is_changed = (model, pretrained), False
        self.name = identity + engines.suffix(engine, precision, calibration.stamp if calibration else "")
        self._model, self._transform, self._own_tokenizer = _load(model, pretrained)
        is_clips = isinstance(self._own_tokenizer, open_clip.SimpleTokenizer)
        self._tokenizer = with_fast_words(self._own_tokenizer) if is_clips else self._own_tokenizer
        self._model.to(self._device.torch).eval()
        self._preprocessing = Preprocessing.of(self._model.visual.preprocess_cfg, self._device.torch)
        short_tower = _tower_that_may_be_cut(self._model)
        self._cuts_texts = short_tower is not None
        self._prompt_tower = partial(_encode_short, short_tower) if self._cuts_texts else self._model.encode_text
        self._image_tower = self._device.tower(self._model.encode_image)
        self._text_tower = self._device.tower(self._prompt_tower)
        self.image_logit_scale = self.text_logit_scale = float(self._model.logit_scale.exp().detach().mean())
        if compiled:
            self._compile()
        elif engine == "openvino":
            images, texts = self._towers(calibration)
            self._image_tower = engines.in_openvino(images, precision, identity)
            self._text_tower = engines.in_openvino(texts, "bf16" if precision == "int8" else precision, identity)
        elif self._device.torch.type == "cpu":
            self._is_changed = onednn.use(self._model, self._towers)

    def prepare(self, levels: torch.Tensor) -> torch.Tensor:
        """The levels that the image tower sees, uint8, ``[3, side, side]``; see `Preprocessing`."""
        if self._preprocessing is None:
            prepared: torch.Tensor = self._transform(to_pil_image(levels.cpu()))
            return prepared
        return middle_square(levels, self._preprocessing.side, self._preprocessing.interpolation)

    @torch.inference_mode()
    def encode_images(self, prepared: Sequence[torch.Tensor]) -> Images:
        """Unit vectors of pictures, ``[n, d]``; they tell pictures apart as well."""

        def encode(batch: torch.Tensor) -> torch.Tensor:
            return _unit(self._image_tower, self._normalised(batch), self._device)

        return Images(on_cpu(self._device.in_parts(prepared, encode)).numpy())

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, ``[n, d]``; each chunk is cut to its longest text where the tower allows it."""
        return self._encode_texts(texts, self._text_tower, self._device)

    @torch.inference_mode()
    def encode_prompts(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """The same by torch in fp32, whatever computes the captions."""
        return self._encode_texts(prompts, self._prompt_tower, self._device.plain())

    def encode_query(self, words: str) -> NDArray[np.float32]:
        """As a place of that wording is encoded: ``[d]``."""
        (template,) = self.default_templates
        vector: NDArray[np.float32] = self.encode_prompts([template.format(wording=words)])[0]
        return vector

    def _encode_texts(self, texts: Sequence[str], tower: Encode, device: Device) -> NDArray[np.float32]:
        tokens = self._tokenizer(list(texts))
        lengths = self._lengths(tokens) if self._cuts_texts else [tokens.shape[1]] * len(tokens)

        def encode(chosen: list[int]) -> torch.Tensor:
            longest = device.length(max(lengths[index] for index in chosen), tokens.shape[1])
            return device.in_parts(list(tokens[chosen, :longest]), lambda batch: _unit(tower, batch, device))

        in_small = self._cuts_texts and device.torch.type == "cpu" and not device.compiled
        most, overhead = (CPU_TEXTS, CPU_OVERHEAD) if in_small else (PART, None)
        vectors: NDArray[np.float32] = in_chunks_by_length(lengths, encode, most, overhead).numpy()
        return vectors

    def as_published(self) -> "OpenClip":
        """The same weights, run as open_clip's own code does: its layers, transform and tokenizer, every text padded.

        To compare with; its tokenizer remembers every word it ever saw.
        """
        plain = copy.copy(self)
        if self._is_changed:
            plain._model, _, _ = _load(*self._loaded)
            plain._model.eval()
        plain._device = copy.copy(self._device)
        plain._device.compiled = False  # its batches are not padded
        plain._preprocessing = None
        plain._cuts_texts = False
        plain._image_tower, plain._text_tower = plain._model.encode_image, plain._model.encode_text
        plain._prompt_tower = plain._text_tower
        plain._tokenizer = self._own_tokenizer
        return plain

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, start and end included."""
        return self._lengths(self._tokenizer(list(texts)))

    def _normalised(self, batch: torch.Tensor) -> torch.Tensor:
        return batch if self._preprocessing is None else self._preprocessing.normalised(batch)

    def _compile(self) -> None:
        """Compute every shape once: what comes later is one of them."""
        log.warning("compiling the towers of %s for %d shapes (minutes)", self.name, len(SIZES) * (len(LENGTHS) + 2))
        picture = self.prepare(torch.zeros(3, 8, 8, dtype=torch.uint8))
        for size in SIZES:
            self.encode_images([picture] * size)
            for length in (*LENGTHS, 10_000):  # words of one token each, besides start and end
                self.encode_texts([" ".join(["a"] * (length - 2))] * size)

    def _lengths(self, tokens: torch.Tensor) -> list[int]:
        lengths: list[int] = (tokens.argmax(dim=1) + 1 if self._cuts_texts else (tokens != 0).sum(dim=1)).tolist()
        return lengths

    def _towers(self, calibration: Calibration | None = None) -> tuple[Tower, Tower]:
        size = self._model.visual.image_size
        height, width = size if isinstance(size, tuple) else (size, size)
        pixels = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(205))
        tokens = self._tokenizer(["a photo of a bridge", "a photo of an indoor swimming pool"])
        if self._cuts_texts:
            tokens = tokens[:, : max(self._lengths(tokens))]
        pictures = calibration.levels() if calibration else ()
        seen = tuple(self._normalised(self.prepare(levels).unsqueeze(0)) for levels in pictures)
        lengths = (0, 1) if self._cuts_texts else (0,)
        return (
            Tower("image", self._model, self._image_tower, pixels, (0,), seen),
            Tower("text", self._model, self._text_tower, tokens, lengths),
        )


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What open_clip's transform for inference does, in two steps: uint8 per picture, the rest per batch.

    Attributes:
        side: of the square that the image tower sees, in pixels.
        interpolation: of the resize.
        scale: one over 255 times the standard deviation, ``[3, 1, 1]``, on the device.
        shift: minus the mean over the standard deviation, ``[3, 1, 1]``, on the device.
    """

    side: int
    interpolation: Literal["bicubic", "bilinear"]
    scale: torch.Tensor
    shift: torch.Tensor

    @classmethod
    def of(cls, config: dict[str, Any], device: torch.device) -> Self | None:
        """None where the transform does something else: squashes or pads the picture, or cuts another shape."""
        size = config["size"]
        side, other = size if isinstance(size, Sequence) else (size, size)
        if side != other or config["resize_mode"] != "shortest":
            return None
        mean, deviation = (torch.tensor(config[name], device=device).reshape(-1, 1, 1) for name in ("mean", "std"))
        interpolation: Literal["bicubic", "bilinear"] = (
            "bilinear" if config["interpolation"] == "bilinear" else "bicubic"
        )
        return cls(side, interpolation, 1 / (255 * deviation), -mean / deviation)

    def normalised(self, batch: torch.Tensor) -> torch.Tensor:
        """Levels, uint8 ``[n, 3, side, side]``, less the mean and over the standard deviation of the training set."""
        return batch.float().mul_(self.scale).add_(self.shift)


def imagenet_class_names() -> tuple[str, ...]:
    """The 1,000 ImageNet classes in OpenAI's curated wording, in the order of their indices."""
    return tuple(open_clip.IMAGENET_CLASSNAMES)


def _unit(tower: Encode, batch: torch.Tensor, device: Device) -> torch.Tensor:
    """Unit vectors of a batch, ``[n, d]``, in fp32 whatever computes them."""
    with device.arithmetic():
        vectors = tower(batch)
    return F.normalize(vectors.float(), dim=1)


def _tower_that_may_be_cut(model: Any) -> Any | None:
    """The text tower, if what follows a text's end cannot change its vector; else None.

    That is so where every token sees only its predecessors (causal mask) and the vector is taken at the end token,
    the highest of all (argmax). It is not so for SigLIP (no mask, last token), CoCa (class token at the end) or
    Hugging Face's towers.
    """
    tower = getattr(model, "text", model)  # CLIP is its own text tower
    pool = getattr(tower, "text_pool_type", getattr(tower, "pool_type", None))
    causal = isinstance(getattr(tower, "attn_mask", None), torch.Tensor)
    return tower if pool == "argmax" and causal and getattr(tower, "cls_emb", None) is None else None


def _encode_short(tower: Any, tokens: torch.Tensor) -> torch.Tensor:
    """What open_clip's ``encode_text`` does, without its insistence on all 77 positions: ``[n, length] -> [n, d]``."""
    length = tokens.shape[1]
    dtype = tower.transformer.get_cast_dtype()
    states = tower.token_embedding(tokens).to(dtype) + tower.positional_embedding[:length].to(dtype)
    states = tower.transformer(states, attn_mask=tower.attn_mask[:length, :length])
    ends = tokens.argmax(dim=1)[:, None, None].expand(-1, 1, states.shape[2])
    states = tower.ln_final(states.gather(1, ends).squeeze(1))
    projection = tower.text_projection
    if projection is None:
        return torch.as_tensor(states)
    return torch.as_tensor(projection(states) if isinstance(projection, torch.nn.Linear) else states @ projection)


def identity_of(model: str, pretrained: str) -> str:
    """The name of model and weights, of which nothing is loaded; of a checkpoint it has the hash.

    Raises:
        CommandError: there is no such model, or there are no such weights.
    """
    return f"open_clip/{model}/{_check(model, pretrained)}"


def _check(model: str, pretrained: str) -> str:
    """The weights' name, once it is clear that model and weights exist (but not yet that they can be had)."""
    if model not in open_clip.list_models():
        near = difflib.get_close_matches(model, open_clip.list_models(), n=3) or ["ViT-B-32"]
        raise CommandError(f"MODEL {model}: open_clip has no such model (near: {', '.join(near)})")
    if pretrained == RANDOM or open_clip.get_pretrained_cfg(model, pretrained):
        return pretrained
    path = Path(pretrained)
    if not path.exists():
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(model)) or "none"
        raise CommandError(f"PRETRAINED {path}: neither a file nor a tag of {model} (its tags: {tags})")
    if not path.is_file() or not path.stat().st_size:
        raise CommandError(
            f"PRETRAINED {path}: {'is empty' if path.is_file() else 'not a file'}; expected a checkpoint"
        )
    try:
        with path.open("rb") as checkpoint:
            return f"{path.name}@{hashlib.file_digest(checkpoint, 'sha256').hexdigest()[:8]}"
    except OSError as error:
        raise CommandError(f"PRETRAINED {path}: {error.strerror}") from None


def _load(model: str, pretrained: str) -> tuple[Any, Any, Any]:
    """The model on the CPU, its transform for inference and its tokenizer."""
    is_tag = bool(open_clip.get_pretrained_cfg(model, pretrained))
    text_tower = open_clip.get_model_config(model)["text_cfg"]
    from_hub = is_tag or "hf_model_name" in text_tower
    with _quiet(), _offline_unless_hub_answers(from_hub or "hf_tokenizer_name" in text_tower):
        try:
            weights = None if pretrained == RANDOM else pretrained
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)  # random, but the same every time: a conversion of them is found again
                network, _, transform = open_clip.create_model_and_transforms(model, pretrained=weights)
        except Exception as error:  # of open_clip, pickle, the hub's client or the network: too many to name
            if from_hub:
                raise _not_had(f"the weights of {model} ({pretrained})", error) from error
            raise CommandError(f"PRETRAINED {pretrained}: not a checkpoint of {model}: {_brief(error)}") from error
        try:
            return network, transform, open_clip.get_tokenizer(model)
        except Exception as error:  # as above
            raise _not_had(f"the tokenizer of {model}", error) from error


def _not_had(what: str, error: Exception) -> CommandError:
    return CommandError(
        f"{what} cannot be had from the hub: give a local checkpoint of a model such as ViT-B-32 with "
        f"--pretrained PATH, or choose --encoder conse, which needs no download ({_brief(error)})"
    )


def _brief(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 200 else f"{text[:200]}…"


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what open_clip and the hub's client log while loading: what matters of it becomes the one line.

    open_clip logs through the root logger's functions, which would also install a handler there.
    """
    handlers, level = logging.root.handlers[:], logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)
        logging.root.handlers[:] = handlers


@contextmanager
def _offline_unless_hub_answers(needed: bool) -> Iterator[None]:
    """Let the hub's client use only its cache when the hub does not answer: it would retry for a minute."""
    constants = huggingface_hub.constants
    offline = constants.HF_HUB_OFFLINE
    if needed and not offline:
        try:
            huggingface_hub.get_session().head(constants.ENDPOINT, timeout=HUB_TIMEOUT)
        except Exception:  # whatever its HTTP library raises
            constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline
