"""Makes the handwriting that comes with the package from the archives as they were published, the same bytes each time.

python -m benchmarks.pack omniglot images_background_small1.zip images_background_small2.zip
python -m benchmarks.pack pendigits pendigits-orig.tra

The first are Omniglot's (Lake, Salakhutdinov and Tenenbaum 2015), github.com/brendenlake/omniglot, folder python; the
second is UCI's "Pen-Based Recognition of Handwritten Digits" (Alpaydin and Alimoglu 1998), UNIPEN text, unpacked.
"""

import io
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

import numpy as np
from tqdm import tqdm

from siamese_mnist import InputError
from siamese_mnist.drawing import fit_image
from siamese_mnist.errors import run_script
from siamese_mnist.files import write_whole
from siamese_mnist.handwriting import DRAWERS, OMNIGLOT, PENDIGITS, PenDigit, pack_strokes
from siamese_mnist.images import open_image
from siamese_mnist.listing import DIGIT_NAMES
from siamese_mnist.options import as_path, script_parser

FARTHEST = 2**14 - 1  # Of a coordinate from 0, so that 16 bits hold the step between any two.


def main() -> None:
    arguments = script_parser(__doc__)
    arguments.add_argument("what", choices=("omniglot", "pendigits"), help="the collection")
    arguments.add_argument("files", nargs="+", type=as_path, metavar="FILE", help="its archives")
    args = arguments.parse_args()
    if args.what == "omniglot":
        path, arrays = OMNIGLOT, pack_omniglot(args.files)
    elif len(args.files) == 1:
        path, arrays = PENDIGITS, pack_strokes(read_unipen(args.files[0]))
    else:
        raise InputError(f"{len(args.files)} files; pendigits-orig.tra is one")
    packed = compress(arrays)
    write_whole(path, packed)
    print(f"{path}: {len(packed) / 1000:,.0f} kB")


def compress(arrays: dict[str, np.ndarray]) -> bytes:
    """The content of an .npz file; NumPy gives all that is in it the date 1980."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def pack_omniglot(archives: list[str]) -> dict[str, np.ndarray]:
    """Names (C,), sorted, and uint8 images (20 C, 28, 28), a character's drawers one after the other.

    InputError if a character lacks one, or has another image in a second archive."""
    found: dict[tuple[str, int], bytes] = {}
    for archive in archives:
        try:
            with ZipFile(archive) as file:
                paths = [PurePosixPath(name) for name in file.namelist() if name.endswith(".png")]
                for path in paths:
                    key = "/".join(path.parts[-3:-1]), int(path.stem.split("_")[1])
                    content = file.read(str(path))
                    if found.setdefault(key, content) != content:
                        raise InputError(f"{archive}: {path} is another image than in the archives before")
        except (BadZipFile, ValueError, IndexError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{archive}: no whole archive of Omniglot ({error}); download it again") from error
    names = sorted({name for name, _ in found})
    wanted = [(name, drawer) for name in names for drawer in range(1, DRAWERS + 1)]
    if not names or sorted(found) != wanted:
        odd = sorted(set(found) ^ set(wanted))[:1]
        raise InputError(f"{', '.join(archives)}: not {DRAWERS} images a character: {odd}; name whole archives")
    images = [_fit(found[key], key) for key in tqdm(wanted, unit="image", disable=None)]
    return {"names": np.array(names), "images": np.stack(images)}


def _fit(content: bytes, key: tuple[str, int]) -> np.ndarray:
    try:
        return fit_image(open_image(io.BytesIO(content)))[0]
    except InputError as error:
        raise InputError(f"{key[0]}, drawer {key[1]}: {error}; download the archive again") from error


def read_unipen(path: str) -> list[PenDigit]:
    """The digits of a file of UNIPEN text; the second number of their comment is the writer. InputError if it has none.

    Coordinates are whole numbers; y, which grows upwards there, grows downwards here."""
    digits: list[PenDigit] = []
    points: list[tuple[int, int]] | None = None
    try:
        for line in tqdm(Path(path).read_text().splitlines(), unit="line", unit_scale=True, disable=None):
            if line.startswith(".SEGMENT DIGIT"):
                digits.append(PenDigit(DIGIT_NAMES.index(line.split('"')[1]), -1, []))
            elif line.startswith(".COMMENT") and digits and digits[-1].writer < 0:
                digits[-1] = digits[-1]._replace(writer=int(line.split()[2]))
            elif line.startswith(".PEN_DOWN"):
                points = []
            elif line.startswith(".PEN_UP") and points:
                digits[-1].strokes.append(np.array(points, float))
                points = None
            elif points is not None and line.strip():
                x, y = map(int, line.split())
                points.append((x, -y))
        if not all(digit.strokes and 0 <= digit.writer < 256 for digit in digits):
            raise ValueError("a digit without strokes or without a writer")
        strokes = [stroke for digit in digits for stroke in digit.strokes]
        if any(np.abs(stroke).max() > FARTHEST for stroke in strokes):
            raise ValueError(f"a coordinate beyond {FARTHEST:,}")
    except (ValueError, IndexError, OverflowError) as error:
        raise InputError(f"{path}: no UNIPEN text of pen strokes ({error}); name pendigits-orig.tra") from error
    if not digits:
        raise InputError(f"{path}: holds no line .SEGMENT DIGIT; name pendigits-orig.tra")
    return digits


if __name__ == "__main__":
    run_script(main)
