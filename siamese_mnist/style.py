"""The look of every figure: Okabe and Ito's colours, told apart by shape and words as well; frames, names, files."""

import io
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from siamese_mnist.files import write_whole

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
MOST_NUMBERED, MOST_NAMED = 26, 60  # Of more classes, a figure has no numbers or columns; or names in some rows only.
plt.switch_backend("Agg")
plt.rcParams.update({"font.size": 11, "axes.titlesize": 12, "axes.spines.top": False, "axes.spines.right": False})
plt.rcParams.update({"axes.grid": True, "grid.alpha": 0.25, "legend.frameon": False})


def save(figure: Figure, path: Path, dpi: int = 130) -> None:
    """Writes a PNG in one step and closes the figure."""
    with warnings.catch_warnings(action="ignore"):  # Of names in a script that the font lacks.
        figure.savefig(buffer := io.BytesIO(), dpi=dpi, format="png", facecolor="white")
    plt.close(figure)
    write_whole(path, buffer.getvalue())


def logarithmic(axes: Axes, factor: float = 1) -> None:
    """Makes the vertical axis logarithmic, with `factor` times its values at 1, 2, 5, 10 and so on."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value * factor:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def short_name(name: str, longest: int = 8) -> str:
    """A class's name, or its start and its end, which is where paths differ."""
    return name if len(name) <= longest else f"{name[:3]}…{name[4 - longest :]}"


def frame(axes: Axes, right: bool, thin: float) -> None:
    """Draws a thin solid frame for right, a thick dashed one for wrong, told apart without colour."""
    axes.spines[:].set(visible=True, color=BLUE if right else ORANGE, linewidth=thin if right else 4)
    axes.spines[:].set(linestyle="-" if right else (0, (2, 1)), capstyle="butt")
