"""`prelabel` with VGG16 once (its weights lie in a small file), and with a small network elsewhere."""

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms
from torchvision.models import vgg16

from consumer.evaluate.scores.folder import Scores
from consumer.evaluate.scores.places205_vgg import CAFFE_NAMES, caffe, load_network
from consumer.evaluate.scores.prelabel import main, places205
from producer.base.errors import CommandError, UsageError
from tests.unit.consumer.evaluate.colours import score, write_dataset

OFFICIAL_ORDER = "4c3c31f432fd22fe2c9505a973efaf6db035aad376a266710e36aac38a390217"


class Small(nn.Module):
    """Two layers where VGG16 has sixteen: the mean colour decides."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 3, 1))
        self.classifier = nn.Sequential(nn.Linear(3, 205))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(self.features(pictures).mean((2, 3)))
        return logits


def colour_weights() -> dict[str, torch.Tensor]:
    """The output 7, 8, 9 is as large as the first, second, third channel."""
    weights = {name: torch.zeros_like(weight) for name, weight in Small().state_dict().items()}
    weights["features.0.weight"][range(3), range(3)] = 1.0
    weights["classifier.0.weight"][[7, 8, 9], [0, 1, 2]] = 1.0
    return weights


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "dataset", posts=9, broken=(5,))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run(dataset: Path, weights: object, tmp_path: Path, *flags: str) -> list[dict[str, str]]:
    torch.save(weights, tmp_path / "small.pt")
    files = ["--checkpoint", str(tmp_path / "small.pt"), "-o", str(tmp_path / "prelabels.csv"), "--device", "cpu"]
    assert main([str(dataset), *files, *flags], Small) == 0
    return rows(tmp_path / "prelabels.csv")


def test_the_outputs_are_in_the_official_order() -> None:
    """By a hash of the categories (without their letters) in the order of Places205's own index."""
    categories = places205()

    assert hashlib.sha256("\n".join(categories).encode()).hexdigest() == OFFICIAL_ORDER
    assert (categories[0], categories[50], categories[100], categories[204]) == (
        "abbey",
        "conference_center",
        "iceberg",
        "yard",
    )


def test_each_usable_picture_gets_its_place(dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = run(dataset, colour_weights(), tmp_path, "--batch-size", "4")

    colours = {"p00": 0, "p01": 1, "p02": 2, "p03": 0, "p04": 1, "p06": 0, "p07": 1, "p08": 2}
    categories = places205()
    assert {row["post_id"]: row["place"] for row in found} == {
        post_id: categories[7 + colour] for post_id, colour in colours.items()
    }
    assert [row["post_id"] for row in found] == ["p00", "p02", "p04", "p06", "p08", "p01", "p03", "p07"]
    assert "1 pictures cannot be used and have no label" in caplog.text
    assert "p05" in caplog.text


def test_caffe_s_channels_are_the_other_way_round(dataset: Path, tmp_path: Path) -> None:
    found = {
        row["post_id"]: row["place"] for row in run(dataset, colour_weights(), tmp_path, "--preprocessing", "caffe")
    }

    assert found["p00"] == places205()[9]  # red is the last channel
    assert found["p02"] == places205()[7]


def test_a_choice_is_that_of_score(dataset: Path, tmp_path: Path) -> None:
    score(dataset, "-o", tmp_path / "scores", "--posts", 4, "--seed", 2, "--cities", "london")
    found = run(dataset, colour_weights(), tmp_path, "--posts", "4", "--seed", "2", "--cities", "london")

    scored = [post_id for part in Scores.open(tmp_path / "scores").parts() for post_id in part.post_ids]
    assert [row["post_id"] for row in found] == scored


@pytest.mark.parametrize("prefix", ["", "module.", "model.module.", "vgg."])
def test_prefixes_of_names_are_known(prefix: str, dataset: Path, tmp_path: Path) -> None:
    weights = {prefix + name: weight for name, weight in colour_weights().items()}
    within = {name.replace("features.", "features.module."): weight for name, weight in colour_weights().items()}

    expected = run(dataset, colour_weights(), tmp_path)

    assert run(dataset, weights, tmp_path) == expected
    assert run(dataset, {"epoch": 90, "state_dict": weights}, tmp_path) == expected
    assert run(dataset, within, tmp_path) == expected


def test_caffe_s_names_of_layers_are_known() -> None:
    assert len(CAFFE_NAMES) == 16
    assert {"conv1_1", "conv3_3", "conv5_3", "fc6", "fc8"} < CAFFE_NAMES.keys()


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, nn.Module]]:
    """A checkpoint of VGG16 with random weights, under Caffe's names, and the network that it is of.

    All outputs of the widest layers are alike, so that the file has not 540 MB.
    """
    torch.manual_seed(205)
    with torch.device("meta"):
        reference: nn.Module = vgg16(num_classes=205, init_weights=False)
    weights = {}
    for name, weight in reference.state_dict().items():
        fan_in = weight[0].numel() if weight.dim() > 1 else 1
        wide = name in ("classifier.0.weight", "classifier.3.weight")
        random = torch.randn(1 if wide else len(weight), *weight.shape[1:]) * (2 / fan_in) ** 0.5
        weights[name] = random.expand(weight.shape) if wide else random * (1 if weight.dim() > 1 else 0.1)
    reference.load_state_dict(weights, assign=True)
    own = {new: old for old, new in CAFFE_NAMES.items()}
    path = tmp_path_factory.mktemp("vgg") / "vgg16_places205.pt"
    torch.save({f"{own[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": w for name, w in weights.items()}, path)
    yield path, reference.eval()
    path.unlink()


@pytest.mark.slow
def test_a_vgg16_labels_as_torchvision_s_own_does(vgg: tuple[Path, nn.Module], tmp_path: Path) -> None:
    checkpoint, reference = vgg
    dataset = write_dataset(tmp_path / "dataset", posts=2)
    as_published = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )
    pictures = [Image.open(dataset / f"img/{city}/p0{n}.png") for n, city in enumerate(("london", "paris"))]
    with torch.inference_mode():
        expected = reference(torch.stack([as_published(picture) for picture in pictures])).softmax(1).max(1)

    main([str(dataset), "--checkpoint", str(checkpoint), "-o", str(tmp_path / "out.csv"), "--device", "cpu"])

    found = rows(tmp_path / "out.csv")
    assert [row["place"] for row in found] == [places205()[index] for index in expected.indices.tolist()]
    assert [float(row["probability"]) for row in found] == pytest.approx(expected.values.tolist(), abs=2e-6)


@pytest.mark.slow
def test_weights_of_1000_outputs_are_one_clear_line(vgg: tuple[Path, nn.Module], tmp_path: Path) -> None:
    _, reference = vgg
    weights = reference.state_dict()
    other = weights | {"classifier.6.weight": torch.zeros(1).expand(1000, 4096)}
    torch.save(other, tmp_path / "imagenet.pt")

    with pytest.raises(CommandError, match=r"no VGG16 with 205 outputs: .*classifier.6.weight: .*\[1000, 4096\]"):
        load_network(tmp_path / "imagenet.pt")


def test_pictures_are_prepared_as_caffe_s_models_are_fed() -> None:
    picture = Image.new("RGB", (300, 420), (255, 128, 0))

    prepared = caffe(picture)

    assert prepared.shape == (3, 224, 224)
    assert prepared.dtype == torch.float32
    expected = (0 - 105.487823486, 128 - 113.741088867, 255 - 116.060394287)  # blue, green, red
    assert prepared.mean((1, 2)).tolist() == pytest.approx(expected, abs=1e-3)
    wide = Image.new("RGB", (512, 256), "white")
    wide.paste("black", (0, 0, 128, 256))
    blue = caffe(wide)[0, 0]  # squeezed, not cut: the black quarter ends at column 64 - 16
    assert blue[[0, 40, 60]].tolist() == pytest.approx([-105.4878, -105.4878, 255 - 105.4878], abs=1e-3)


@pytest.mark.parametrize(
    ("weights", "what"),
    [
        ([1, 2], "is no state dict"),
        ({"epoch": 3}, "is no state dict"),
        (
            {"layer1.0.weight": torch.zeros(2)},
            'is no VGG16 .*Missing .*"features.0.weight", .*Unexpected .*"layer1.0.weight"',
        ),
        (colour_weights() | {"features.1.weight": torch.zeros(2)}, 'Unexpected .*"features.1.weight"'),
        (colour_weights() | {"module.features.0.bias": torch.zeros(3)}, "it has features.0.bias twice"),
        (colour_weights() | {"classifier.0.bias": torch.zeros(365)}, r"classifier.0.bias: .*\[365\]"),
        (colour_weights() | {"classifier.0.bias": torch.full((205,), torch.nan)}, "gives NaN or infinity"),
        (Small(), "is no checkpoint of weights alone"),
    ],
)
def test_another_checkpoint_is_one_clear_line(weights: object, what: str, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=what) as error:
        run(dataset, weights, tmp_path)

    assert "\n" not in str(error.value)
    assert list(tmp_path.glob("*prelabels*")) == []


def test_wrong_input_is_one_clear_line(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("no weights")
    torch.save(colour_weights(), tmp_path / "small.pt")
    output = ["-o", str(tmp_path / "x.csv")]
    for flags, what in (
        ([str(dataset), *output], "setting CHECKPOINT: Field required"),
        ([str(dataset), "--checkpoint", str(tmp_path / "none.pt"), *output], "none.pt: no such file"),
        ([str(dataset), "--checkpoint", str(tmp_path / "text.pt"), *output], "is no checkpoint of weights alone"),
        ([str(dataset), "--checkpoint", "x", "-o", "x", "--preprocessing", "keras"], "setting PREPROCESSING"),
        (
            [str(dataset), "--checkpoint", str(tmp_path / "small.pt"), "-o", str(tmp_path / "no/x.csv")],
            "x.csv cannot be written: No such file or directory",
        ),
    ):
        with pytest.raises((CommandError, UsageError), match=what):
            main(flags, Small)
