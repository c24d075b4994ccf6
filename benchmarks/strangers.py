"""What is no digit: how well its scores are told from those of digits, and how often it is taken for one.

python -m benchmarks.strangers
python -m benchmarks.strangers FOLDER --weights runs/default --dataset mnist --data-root DIR

FOLDER holds images of anything but digits, in sub-folders or not. Strangers of four kinds, none of them made as the
scribbles on which the rejection threshold is fitted, are measured always. An image is prepared as a drawing; its score
is the best similarity to 20 references of a class, and below the weights' rejection threshold it is refused. By
themselves stand the characters of two scripts, Sanskrit and Tagalog, some of which look like a digit (Tagalog has a 3).
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from torch import Tensor
from tqdm import tqdm

from siamese_mnist import InputError, SiameseNetwork, load_digits, metrics, prepare_drawing
from siamese_mnist.errors import run_script
from siamese_mnist.images import open_image
from siamese_mnist.matching import Matcher
from siamese_mnist.options import FOLDER, WEIGHTS, as_path, script_parser
from siamese_mnist.runs import evaluation_folder, find_weights

DOODLES, CANVAS = 1000, 280  # of each kind; pixels a side
REFERENCE_SETS = 10
LETTERS = "ACDEFGHJKLMNPQRTUVWXYadefhkmnprtuvwxy&@?%$"  # those that are no digit in some hand
FONTS = ("DejaVuSans.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf", "DejaVuSerif-Italic.ttf")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
DIGITS, CHARACTERS = "digits", "characters"


def main() -> None:
    args = parse_arguments()
    weights = find_weights(args.weights)
    model = SiameseNetwork.from_pretrained(weights)
    references = load_digits("bundled", split="test", classes=model.classes)
    digits = references
    if args.dataset == "mnist":
        digits = load_digits("mnist", split="test", root=args.data_root, classes=model.classes)
    matcher, generator = Matcher(model, references), torch.Generator().manual_seed(0)
    sets = [matcher.sample(generator) for _ in range(REFERENCE_SETS)]

    own = {Path(args.folder).name: open_folder(Path(args.folder))} if args.folder else {}
    bar = tqdm(KINDS.items(), leave=False, disable=None)
    kinds = {kind: [draw(random) for random in generators()] for kind, draw in bar} | own
    scores = {
        kind: best_scores(matcher, matcher.model.encode_all(prepare(images, kind)), sets).flatten()
        for kind, images in kinds.items()
    }
    characters = load_digits("symbols", split="test").images
    scores_of_all = scores | {"all": torch.cat(list(scores.values()))}
    scores[CHARACTERS] = best_scores(matcher, matcher.model.encode_all(characters), sets).flatten()
    known = digit_scores(matcher, digits.images, sets, args.dataset == "bundled")
    refused = (known < model.rejection_threshold).float().mean()
    print(f"{weights}: {len(digits):,} {args.dataset} digits, of which ", end="")
    print(f"{refused:.2%} score below {model.rejection_threshold:.3f}\n")
    print(f"{'strangers':16}{'images':>8}{'AUROC':>10}{'taken for a digit':>20}")
    for kind, theirs in (scores_of_all | {CHARACTERS: scores[CHARACTERS]}).items():
        area = metrics.auc(*(np.sort(part.double().numpy()) for part in (known, theirs)))
        taken = (theirs >= model.rejection_threshold).float().mean()
        print(f"{kind:16}{len(theirs) // REFERENCE_SETS:8,}{area:10.4f}{taken:20.2%}")
    out = Path(args.out) if args.out else evaluation_folder(weights)
    out.mkdir(parents=True, exist_ok=True)
    plot_scores({DIGITS: known, **scores}, model.rejection_threshold, out / "strangers.png")
    print(f"\n{out / 'strangers.png'}: the scores of each kind")


def digit_scores(matcher: Matcher, images: Tensor, sets: list[Tensor], own: bool) -> Tensor:
    """The best score of each image in each set; where the images are the matcher's `own`, not in those it refers in."""
    scores = best_scores(matcher, matcher.model.encode_all(images), sets)
    if not own:
        return scores.flatten()
    asked = torch.ones_like(scores, dtype=torch.bool)
    for row, references in zip(asked, sets):
        row[references.flatten()] = False
    return scores[asked]


def best_scores(matcher: Matcher, embeddings: Tensor, sets: list[Tensor]) -> Tensor:
    """The best similarity (sets, N) of embeddings (N, D) to the references of a class."""
    return torch.stack([matcher.scores(embeddings, references).amax(1) for references in sets])


def prepare(images: list[Image.Image], title: str) -> Tensor:
    """Prepared images (N, 1, 28, 28) of those on which something is drawn."""
    prepared = []
    for image in tqdm(images, desc=title, unit="image", leave=False, disable=None):
        try:
            prepared.append(prepare_drawing(image))
        except InputError:
            continue
    if not prepared:
        raise InputError(f"{title}: on none of its images is anything drawn; name another folder")
    return torch.cat(prepared)


def open_folder(folder: Path) -> list[Image.Image]:
    """The images of a folder and its sub-folders; other files are passed over. InputError if there are none."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix.lower() in SUFFIXES]
    if not paths:
        raise InputError(f"{folder}: holds no image ({' '.join(SUFFIXES)}); name a folder of images")
    images = []
    for path in tqdm(paths, desc=folder.name, unit="image", leave=False, disable=None):
        try:
            images.append(open_image(path))
        except InputError as error:
            raise InputError(f"{path}: {error}; repair or remove it") from error
    return images


def generators() -> Iterator[np.random.Generator]:
    return (np.random.default_rng(number) for number in range(DOODLES))


def loops(random: np.random.Generator) -> Image.Image:
    """Lissajous figures and spirals."""
    t = np.linspace(0, 2 * np.pi, 200)
    if random.random() < 0.5:
        a, b = random.choice([(1, 3), (2, 3), (3, 2), (3, 4), (4, 3), (3, 5)])
        points = np.stack([np.sin(a * t + random.uniform(0, np.pi)), np.sin(b * t)], 1)
    else:
        turns = random.uniform(2.5, 5)
        points = (t / t.max())[:, None] * np.stack([np.cos(turns * t), np.sin(turns * t)], 1)
    return drawn([140 + 110 * points], random)


def zigzags(random: np.random.Generator) -> Image.Image:
    """A line back and forth."""
    count = random.integers(6, 13)
    points = np.stack([np.linspace(-1, 1, count), np.where(np.arange(count) % 2, 1, -1) * random.uniform(0.4, 1)], 1)
    angle = random.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return drawn([140 + 80 * points @ turn + random.normal(0, 6, points.shape)], random)


def blots(random: np.random.Generator) -> Image.Image:
    """Random blobs."""
    field = ndimage.gaussian_filter(random.normal(size=(200, 200)), random.uniform(8, 20))
    ink = np.pad(field > field.std() * random.uniform(0.3, 1), 40)
    return Image.fromarray(np.where(ink, 0, 255).astype(np.uint8))


def letters(random: np.random.Generator) -> Image.Image:
    """Typed letters and signs that resemble no digit."""
    font = ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / random.choice(FONTS)), 180)
    image = Image.new("L", (CANVAS, CANVAS), 255)
    ImageDraw.Draw(image).text((140, 140), random.choice(list(LETTERS)), fill=0, font=font, anchor="mm")
    return image


KINDS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "loops": loops,
    "zigzags": zigzags,
    "blots": blots,
    "letters": letters,
}


def drawn(strokes: list[np.ndarray], random: np.random.Generator) -> Image.Image:
    image = Image.new("L", (CANVAS, CANVAS), 255)
    for stroke in strokes:
        ImageDraw.Draw(image).line(
            [tuple(at) for at in stroke], fill=0, width=int(random.integers(8, 25)), joint="curve"
        )
    return image


def plot_scores(scores: dict[str, Tensor], threshold: float, path: Path) -> None:
    """A histogram of the scores of each kind, with the threshold."""
    from matplotlib import pyplot as plt

    from siamese_mnist.style import BLUE, ORANGE, save

    figure, rows = plt.subplots(len(scores), 1, figsize=(8, 1 + len(scores)), sharex=True, layout="constrained")
    figure.suptitle("Best similarity to 20 references of a class")
    for axes, (kind, values) in zip(rows, scores.items()):
        axes.hist(values.numpy(), bins=np.linspace(0, 1, 51), color=BLUE if kind == DIGITS else ORANGE, density=True)
        axes.axvline(threshold, color="black", linestyle="--")
        axes.set_ylabel(kind, rotation=0, ha="right", va="center")
        axes.set(yticks=[], xlim=(0, 1))
    rows[-1].set_xlabel(f"similarity; dashed: below {threshold:.3f} an image is like no digit")
    save(figure, path)


def parse_arguments() -> argparse.Namespace:
    arguments = script_parser(__doc__)
    arguments.add_argument(
        "folder",
        nargs="?",
        type=as_path,
        metavar="FOLDER",
        help="images of strangers (default: doodles alone)",
    )
    arguments.add_argument("--weights", **WEIGHTS, help="a run or a folder of weights (default: the newest run)")
    arguments.add_argument(
        "--dataset", choices=("bundled", "mnist"), default="bundled", help="whose test digits (default: bundled)"
    )
    arguments.add_argument("--data-root", default="data", **FOLDER, help="folder of mnist (default: data)")
    arguments.add_argument("--out", **FOLDER, help="where to write strangers.png (default: the run's folder)")
    return arguments.parse_args()


if __name__ == "__main__":
    run_script(main)
