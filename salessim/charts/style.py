"""The look of every chart: font, colours, matplotlib settings, and pictures saved in that look."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "FAINT",
    "FONT",
    "GREEN",
    "INK",
    "MUTED",
    "ORANGE",
    "PALE",
    "PALE_ORANGE",
    "SKY",
    "figure_of",
    "save",
    "styled",
    "use_style",
]

FONT = "Fira Sans"
_STYLE = Path(__file__).with_name("salessim.mplstyle")

# Blue and orange of about Okabe and Ito's hues, dark enough for text: told apart by colour-blind readers,
# and by their lightness in a black-and-white print.
BLUE, ORANGE, GREEN = "#0B4F83", "#C75000", "#00806A"
SKY, PALE, PALE_ORANGE = "#8FB8DE", "#DCE8F2", "#F6E3D5"
INK, MUTED, FAINT = "#1F2A37", "#5A6672", "#B4BEC8"


@functools.cache
def _prepare() -> None:
    """Make the font known to matplotlib and load its backend, once, when the first chart is drawn."""
    from fontpkg import mpl

    # a missing fallback font is no news to a reader of a report
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    mpl.use(FONT)
    # A notebook's backend turns interactive mode on as it loads. If the first chart loaded it, within the
    # style, the end of the style would turn the mode off again, and no later chart would be shown.
    plt.switch_backend(matplotlib.get_backend())


@contextmanager
def styled() -> Iterator[None]:
    """The look of salessim while a chart is drawn; the settings of the session stay as they are.

    >>> with styled():
    ...     plt.rcParams["font.family"][0]
    'Fira Sans'
    """
    _prepare()
    with plt.style.context(_STYLE):
        yield


def use_style() -> None:
    """Make the look of salessim the default of this session, for charts that a notebook draws itself.

    The charts of this package do not need it.

    >>> use_style()
    >>> plt.rcParams["svg.fonttype"]
    'path'
    """
    _prepare()
    plt.style.use(_STYLE)


def save(ax: Axes, *, path: Path) -> Path:
    """Write the figure of a chart to a file; the suffix decides the format, such as svg or png.

    The same data give the same SVG, byte by byte: no date is written into it.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     save(plt.figure().add_subplot(), path=Path(folder, "empty.svg")).suffix
    '.svg'
    """
    with styled():
        figure_of(ax).savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {})
    return path


def figure_of(ax: Axes) -> Figure:
    """The figure on which axes lie.

    >>> figure = plt.figure()
    >>> figure_of(figure.add_subplot()) is figure
    True
    """
    figure = ax.get_figure(root=True)
    assert figure is not None  # an Axes on which one can draw has a figure
    return figure
