"""Pictures and captions for a simulated experiment, where its score folder says that the dataset is."""

from collections.abc import Collection
from pathlib import Path

from PIL import Image

from consumer.evaluate.samples.folder import Sample

NASTY = "<script>document.title = 'owned'</script> \"quotes\" & <img src=x onerror=alert(1)>\nsecond line </script>"
CAPTIONS = (NASTY, "", "a day at the sea, ☕ & sand", "x" * 3_000)


def write_pictures(sample: Path, leave_out: Collection[str] = ()) -> Path:
    """A coloured picture for each sampled post, with the camera's data in it, and captions of several kinds."""
    drawn = Sample.open(sample)
    for number, post in enumerate(drawn.posts):
        picture = drawn.dataset / "img" / post.city / f"{post.post_id}.jpg"
        caption = drawn.dataset / "captions" / post.city / f"{post.post_id}.txt"
        for path in (picture, caption):
            path.parent.mkdir(parents=True, exist_ok=True)
        if post.post_id in leave_out:
            continue
        image = Image.new("RGB", (1_600, 800) if number == 0 else (60, 40), (number * 37 % 256, 90, 160))
        camera = Image.Exif()
        camera[0x010F] = "SECRET CAMERA"
        image.save(picture, "JPEG", exif=camera)
        caption.write_text(CAPTIONS[number % len(CAPTIONS)], "utf-8")
    return drawn.dataset
