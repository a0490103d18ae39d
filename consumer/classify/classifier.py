"""Classifying posts: decode, encode the picture, ask the caption only where the picture is not sure, decide."""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.classify.captions import ENGLISH, readable
from consumer.classify.decision import Decision
from consumer.classify.encoders.encoder import Encoder, EncoderBug, Images, NotFinite
from consumer.classify.head import Head
from consumer.classify.label import Label, Vectors
from consumer.classify.language import identifier, language
from consumer.classify.pictures.decode import PictureError, PictureLimits
from consumer.classify.pictures.levels import levels as levels_of
from consumer.classify.pictures.levels import plain_jpeg
from consumer.classify.pictures.pool import decoders
from consumer.classify.places import Places
from consumer.classify.sentiment import sentiment
from producer.post import Post

EncodeCaptions = Literal["needed", "all"]
"""Which captions are encoded: those that the decision needs, or all, so that another decision may need them later."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A post whose picture is ready for the encoder.

    Attributes:
        post: as it came.
        prepared: the picture as the image tower's input, ``[3, h, w]``; on the CPU, or where it was decoded.
    """

    post: Post
    prepared: torch.Tensor


def unobserved(stage: str, seconds: float) -> None:
    """Measure nothing."""


class Classifier:
    """Posts in, labels out.

    Args:
        encoder: of pictures and captions.
        places: the label set.
        decision: how picture and caption decide.
        limits: what is refused before it is decoded.
        templates: prompts of the places; None for the encoder's own.
        top: places named in each ranking.
        observe: told the seconds that each batch spends in the stages ``image`` and ``text``.
        decode_jpeg: decodes usual JPEGs in Pillow's place; see `levels.plain_jpeg`.
        place_vectors: of the label set with these templates, ``[p, d]``; None: its prompts are encoded here.

    Attributes:
        encoder_name: which model and weights.
        places: as given.
        places_stamp: the label set's name and the hash of its prompts.
        head: decides.
        default_threshold: the encoder's own, whatever the decision's is.
    """

    def __init__(
        self,
        encoder: Encoder,
        places: Places,
        decision: Decision,
        limits: PictureLimits = PictureLimits(),  # noqa: B008 # frozen
        templates: tuple[str, ...] | None = None,
        top: int = 5,
        observe: Callable[[str, float], None] = unobserved,
        decode_jpeg: Callable[[bytes], torch.Tensor] | None = None,
        place_vectors: NDArray[np.float32] | None = None,
    ) -> None:
        templates = templates or encoder.default_templates
        if place_vectors is None:
            place_vectors = places.vectors(encoder, templates)
        self.encoder_name = encoder.name
        self.places = places
        self.places_stamp = places.stamp(templates)
        scales = encoder.image_logit_scale, encoder.text_logit_scale
        self.head = Head(places.categories, place_vectors, *scales, decision, top, places.groups)
        self.default_threshold = encoder.default_threshold
        self._encoder = encoder
        self._limits = limits
        self._observe = observe
        self._decode_jpeg = decode_jpeg
        self._encode_captions: EncodeCaptions = "needed"
        identifier()  # loaded now, not at the first caption

    @property
    def decision(self) -> Decision:
        """How picture and caption decide."""
        return self.head.decision

    def with_decision(self, decision: Decision) -> Self:
        """The same model and places, deciding otherwise."""
        other = copy.copy(self)
        other.head = copy.copy(self.head)
        other.head.decision = decision
        return other

    def with_captions(self, encode: EncodeCaptions) -> Self:
        """The same labels, encoding these captions."""
        other = copy.copy(self)
        other._encode_captions = encode
        return other

    def as_published(self) -> Self:
        """The same weights, places and decision, run as the model's authors do: to compare with."""
        other = copy.copy(self)
        other._encoder = self._encoder.as_published()
        other._decode_jpeg = None
        return other

    def token_counts(self, captions: Sequence[str]) -> list[int]:
        """Tokens of captions, as the encoder's own tokenizer counts them."""
        return self._encoder.token_counts([readable(caption) or "" for caption in captions])

    def decode_each(self, posts: Sequence[Post]) -> Iterator[Decoded | PictureError]:
        """Decode and prepare the pictures of posts, one after the other. Thread-safe: meant for a pool.

        The fewer calls, the faster: `decoders.AT_ONCE` posts each are enough.

        Returns:
            One outcome per post, in their order; an error where the picture cannot be used.

        Raises:
            CommandError: decoder processes do not start.
        """
        prepared = [self._prepared_by_other(post.picture) for post in posts]
        rest = decoders(self._limits).each(
            [post.picture for post, done in zip(posts, prepared, strict=True) if done is None]
        )
        for post, done in zip(posts, prepared, strict=True):
            if done is not None:
                yield Decoded(post, done)
            elif isinstance(levels := next(rest), PictureError):
                yield levels
            else:
                yield Decoded(post, self._encoder.prepare(levels_of(levels)))

    def decode_all(self, posts: Sequence[Post]) -> list[Decoded]:
        """Decode and prepare the pictures of posts that can all be used. Thread-safe.

        Raises:
            PictureError: one cannot; the message names the post.
            CommandError: decoder processes do not start.
        """
        batch = []
        for post, outcome in zip(posts, self.decode_each(posts), strict=True):
            if isinstance(outcome, PictureError):
                raise type(outcome)(f"post {post.post_id}: {outcome}") from outcome
            batch.append(outcome)
        return batch

    def label(self, batch: Sequence[Decoded]) -> list[Label]:
        """Label decoded posts, in their order. One thread at a time.

        Raises:
            EncoderBug: the encoder returned another number of vectors than it was given inputs.
            NotFinite: it returned NaN or infinity.
            RuntimeError: whatever torch raises (out of memory, a broken device).
        """
        if not batch:
            return []
        images = self._images(batch)
        of_images = self.head.of_images(images.vectors)
        captions = [readable(decoded.post.caption) for decoded in batch]
        has_caption = np.array([caption is not None for caption in captions])
        needed = has_caption & self.head.needs_caption(of_images)
        encoded = np.flatnonzero(needed if self._encode_captions == "needed" else has_caption)
        texts = self._texts([captions[index] or "" for index in encoded])
        of_texts = self.head.of_texts(texts[needed[encoded]])
        labels = self.head.labels(of_images, np.flatnonzero(needed), of_texts)
        text_of = dict(zip(encoded, texts, strict=True))
        descriptors = [None] * len(batch) if images.descriptors is None else images.descriptors
        return [
            _whole(label, caption, Vectors(images.vectors[index], text_of.get(index), descriptors[index]))
            for index, (label, caption) in enumerate(zip(labels, captions, strict=True))
        ]

    def vectors(self, batch: Sequence[Decoded]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Unit vectors of the pictures and of the captions, ``[n, d]`` each: to compare two encoders."""
        images = self._encoder.encode_images([decoded.prepared for decoded in batch]).vectors
        return images, self._encoder.encode_texts([readable(decoded.post.caption) or "" for decoded in batch])

    def check(self) -> None:
        """Encode a grey picture and a caption of our own: does the model work at all?

        Raises:
            EncoderBug, NotFinite, RuntimeError: as `label`; it does not.
        """
        grey = self._encoder.prepare(torch.full((3, 300, 300), 64, dtype=torch.uint8))
        self.with_captions("all").label([Decoded(Post("check", "nowhere", b"check", "a street"), grey)])

    def classify(self, posts: Sequence[Post]) -> list[Label]:
        """Decode and label posts.

        Raises:
            PictureError: a picture cannot be used; the message names the post.
        """
        return self.label(self.decode_all(posts))

    def _prepared_by_other(self, data: bytes) -> torch.Tensor | None:
        """Prepared on the GPU as well, whose memory may not suffice: then it is Pillow's picture after all."""
        decode_jpeg = self._decode_jpeg
        if decode_jpeg is None:
            return None
        return plain_jpeg(data, self._limits, lambda data: self._encoder.prepare(decode_jpeg(data)))

    def _images(self, batch: Sequence[Decoded]) -> Images:
        prepared = {decoded.post.picture: decoded.prepared for decoded in batch}  # each picture is encoded once
        number = {picture: row for row, picture in enumerate(prepared)}
        with self._timed("image"):
            vectors, descriptors = self._encoder.encode_images(list(prepared.values()))
        rows = [number[decoded.post.picture] for decoded in batch]
        return Images(
            _checked(vectors, len(prepared))[rows],
            None if descriptors is None else _checked(descriptors, len(prepared))[rows],
        )

    def _texts(self, captions: list[str]) -> NDArray[np.float32]:
        if not captions:
            return np.empty((0, self.head.place_vectors.shape[1]), np.float32)
        number = {caption: row for row, caption in enumerate(dict.fromkeys(captions))}  # each is encoded once
        with self._timed("text"):
            vectors = _checked(self._encoder.encode_texts(list(number)), len(number))
        return vectors[[number[caption] for caption in captions]]

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._observe(stage, time.perf_counter() - start)


def _whole(label: Label, caption: str | None, vectors: Vectors) -> Label:
    """A label with its vectors and with what its caption tells without a model."""
    spoken = language(caption)
    return replace(
        label,
        language=spoken,
        sentiment=sentiment(caption) if spoken == ENGLISH else None,
        caption_use="none" if caption is None else "skipped" if vectors.text is None else "encoded",
        vectors=vectors,
    )


def _checked(vectors: NDArray[np.float32], expected: int) -> NDArray[np.float32]:
    if len(vectors) != expected:
        raise EncoderBug(f"the encoder returned {len(vectors)} vectors for {expected} inputs")
    if not np.isfinite(vectors).all():
        raise NotFinite("the encoder returned vectors with NaN or infinity")
    return vectors
