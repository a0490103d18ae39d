"""The photographs behind the sample dataset: which installed package holds each, and what people would write under it.

Only photographs that come inside a package's wheel; none is copied into this repository. The captions are our own.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from producer.base.errors import CommandError

PACKAGES = {
    "skimage": Path("data"),
    "sklearn": Path("datasets", "images"),
    "matplotlib": Path("mpl-data", "sample_data"),
}
"""Import name of a package -> where its pictures are."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """One photograph.

    Attributes:
        package: import name of the package it lies in.
        file: its name there.
        weight: how often it is posted, relative to the others.
        hours: the hours of the day, local time, at which it is usually posted: first and last.
        captions: what is written under it; "" is no caption.
    """

    package: str
    file: str
    weight: int
    hours: tuple[int, int]
    captions: tuple[str, ...]

    def path(self) -> Path:
        """Where it is on this machine; the package is not imported.

        Raises:
            CommandError: the package, or this picture in it, is not installed.
        """
        spec = find_spec(self.package)
        folders = spec.submodule_search_locations if spec else None
        path = Path(folders[0], PACKAGES[self.package], self.file) if folders else None
        if path is None or not path.is_file():
            raise CommandError(f"{self.file} of {self.package} is not installed: pip install 'placestream[sample]'")
        return path


PHOTOGRAPHS = (
    Photograph(
        "sklearn",
        "china.jpg",
        5,
        (8, 18),
        (
            "The temple above the lake, finally! Absolutely beautiful ❤️ #temple #travel",
            "Climbed all the steps to the old pagoda and the view was wonderful",
            "red columns, green roofs, blue haze",
            "Too hot, too crowded, and my feet hurt. The temple is closed on Mondays 😡",
            "Day 3:\nthe temple on the hill\nthen noodles by the water 🍜",
            "El templo más bonito que he visto en mi vida 😍 #viaje",
            "Tepedeki tapınak, manzara harika! #gezi",
            "湖の上のお寺。静かで気持ちいい朝でした 🙏",
            "لا شيء يشبه هذا المكان في الصباح",
            "🏯✨",
            "",
        ),
    ),
    Photograph(
        "skimage",
        "motorcycle_left.png",
        4,
        (17, 22),
        (
            "She is finally back in the garage! Best weekend project ever 🏍️ #motorcycle",
            "New chain, new tyres, same old garage mess",
            "Hates the cold, hates the rain, would not start again. I am so sad.",
            "Saturday in the workshop with dad. Happy place.",
            "before:\nrust\nafter:\nred 🔥",
            "En el taller todo el día, pero ya arranca 💪",
            "Garajda bir pazar günü. Motor hazır!",
            "ガレージの週末 🏍️",
            "🏍️🔧",
            "",
        ),
    ),
    Photograph(
        "skimage",
        "coffee.png",
        5,
        (7, 11),
        (
            "Best flat white in town, love this little coffee shop ☕ #coffee",
            "monday. coffee. repeat.",
            "Waited twenty minutes for a cold espresso. Terrible service, never again.",
            "The corner table at the café is mine now",
            "un café y un libro, nada más ☕📖",
            "Sabah kahvesi olmadan asla #kahve",
            "いつもの喫茶店で、いつもの一杯",
            "قهوة الصباح ☕",
            "☕☕☕",
            "first one of the day\n\n\nfirst one of many",
            "",
        ),
    ),
    Photograph(
        "skimage",
        "camera.png",
        4,
        (14, 19),
        (
            "Filming in the park all afternoon, what a great crew! #film #park",
            "black and white suits him",
            "Lost the light, lost the lens cap, lost my patience. Awful day on the lawn.",
            "Somewhere on the big lawn, waiting for the clouds to move",
            "Rodando en el parque 🎥 #cine",
            "Parkta çekim günü, ekip süper!",
            "公園で撮影。風が強かった",
            "take one ❌\ntake two ❌\ntake three ✅",
            "🎥",
            "",
        ),
    ),
    Photograph(
        "sklearn",
        "flower.jpg",
        4,
        (9, 17),
        (
            "The dahlias in the botanical garden are stunning this year 🌼 so happy",
            "petals on petals on petals #macro",
            "Bees everywhere, sneezed all day. I hate spring.",
            "a walk through the garden with grandma 🧡",
            "Una flor para ti 🌺",
            "Botanik bahçesinde bahar 🌸",
            "庭の花が咲きました。きれい！",
            "وردة من الحديقة 🌼",
            "🌼",
            "",
        ),
    ),
    Photograph(
        "skimage",
        "rocket.jpg",
        2,
        (18, 23),
        (
            "Standing on the launch pad like a lighthouse. Amazing evening! 🚀",
            "scrubbed again… so disappointed",
            "T minus ten hours",
            "Mañana despega 🚀",
            "🚀🌙",
            "",
        ),
    ),
    Photograph(
        "skimage",
        "brick.png",
        2,
        (10, 20),
        (
            "the alley behind our street #bricks #texture",
            "another wall, another city. lovely pattern though",
            "Paredes de ladrillo por todas partes",
            "🧱",
            "",
        ),
    ),
    Photograph(
        "skimage",
        "grass.png",
        2,
        (12, 19),
        (
            "lying in the field, phone fell in the grass, still smiling 😊",
            "mowed the lawn. was it worth it? no.",
            "Çimler üzerinde bir öğleden sonra",
            "",
        ),
    ),
    Photograph(
        "skimage",
        "gravel.png",
        1,
        (9, 18),
        ("crunch crunch crunch #texture", "flat tyre on the gravel road. worst luck.", "砂利", ""),
    ),
    Photograph(
        "skimage",
        "chelsea.png",
        2,
        (19, 23),
        (
            "She owns the sofa, I just live here. Love her 😻 #catsofinstagram",
            "judging you",
            "mi gata es la mejor ❤️",
            "猫",
            "😼",
            "",
        ),
    ),
    Photograph(
        "skimage",
        "astronaut.png",
        1,
        (10, 18),
        ("My hero since I was five. So inspiring! 👩‍🚀", "the smile, the suit, the flag", "kahramanım 🚀", ""),
    ),
    Photograph(
        "matplotlib",
        "grace_hopper.jpg",
        1,
        (10, 18),
        (
            "The best thing she taught us: ask forgiveness, not permission. A great woman.",
            "happy birthday to the queen of compilers 🎂",
            "the original bug hunter 🐛",
            "",
        ),
    ),
    Photograph(
        "skimage",
        "coins.png",
        1,
        (11, 16),
        ("two thousand years old and shinier than my car", "in the museum, wonderful collection #history", "💰", ""),
    ),
    Photograph(
        "skimage",
        "moon.png",
        1,
        (20, 23),
        ("a grey evening up there", "luna lunera 🌙", "月がきれいですね", ""),
    ),
    Photograph(
        "skimage",
        "hubble_deep_field.jpg",
        1,
        (20, 23),
        ("every dot a galaxy. feeling small and happy ✨", "cannot sleep, terrible dreams", "النجوم", "✨🌌", ""),
    ),
    Photograph(
        "skimage",
        "page.png",
        1,
        (20, 23),
        (
            "reading list, page one",
            "exam tomorrow and I understand nothing, this is horrible 😭",
            "ders çalışıyorum",
            "",
        ),
    ),
)
