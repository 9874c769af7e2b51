"""Draw the diagrams of the documents as SVG: ``python docs/draw_diagrams.py``.

Colours follow the reader's light or dark theme.
"""

from pathlib import Path

IMAGES = Path(__file__).parent / "images"
STYLE = """
text { font: 14px sans-serif; fill: #1c2733; text-anchor: middle; dominant-baseline: central }
.small { font-size: 12px; fill: #4b5b6d }
.start { text-anchor: start }
.mono { font-family: monospace; text-anchor: start }
.box { fill: #eef2f7; stroke: #5b6b7f }
.strong { fill: #cfe3f7; stroke: #2b6cb0 }
.warm { fill: #fbe3c4; stroke: #b7791f }
.open { fill: none; stroke: #9aa7b5 }
.arrow { fill: none; stroke: #5b6b7f; stroke-width: 1.5; marker-end: url(#head) }
#head path { fill: #5b6b7f }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #a9b6c4 }
  .box { fill: #26303b; stroke: #8b9bab } .strong { fill: #1d4166; stroke: #7db7f0 }
  .warm { fill: #5a4216; stroke: #e0b060 } .open { stroke: #5d6b79 }
  .arrow { stroke: #a9b6c4 } #head path { fill: #a9b6c4 }
}
"""
HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
)


class Diagram:
    """Boxes, arrows and words on a canvas of so many pixels."""

    def __init__(self, title: str, width: int, height: int):
        self._size = width, height
        self._parts = [f"<title>{title}</title>"]

    def box(self, x: float, y: float, w: float, h: float, kind: str = "box") -> None:
        """Draw a rectangle whose upper left corner is at (x, y)."""
        self._parts.append(
            f'<rect class="{kind}" x="{x}" y="{y}" width="{w}" height="{h}" rx="4"/>'
        )

    def words(self, x: float, y: float, words: str, kind: str = "") -> None:
        """Write one line of words around (x, y)."""
        self._parts.append(f'<text class="{kind}" x="{x}" y="{y}">{words}</text>')

    def node(self, x: float, y: float, words: str, *, w: int = 110, kind: str = "box") -> None:
        """Draw a box with words, centred at (x, y); a second line after a bar is smaller."""
        first, _, second = words.partition("|")
        self.box(x - w / 2, y - 22, w, 44, kind)
        self.words(x, y - 8 if second else y, first)
        if second:
            self.words(x, y + 10, second, "small")

    def arrow(self, *points: tuple[float, float]) -> None:
        """Draw a line through points that ends in a head."""
        path = "M" + "L".join(f"{x} {y}" for x, y in points)
        self._parts.append(f'<path class="arrow" d="{path}"/>')

    def svg(self) -> str:
        """The file's text."""
        width, height = self._size
        text = "\n".join(self._parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}">\n<style>{STYLE}</style>{HEAD}\n{text}\n</svg>\n'
        )


def data_flow() -> Diagram:
    """From a recipe to a run, and from a run to results."""
    d = Diagram("From a recipe to a run to results", 760, 260)
    steps = ["recipe|configs/", "config|every key", "data|symbols", "task|the loss", "step|jitted"]
    for n, words in enumerate(steps):
        d.node(65 + 125 * n, 40, words, w=95)
        d.arrow((112.5 + 125 * n, 40), (141 + 125 * n, 40))
    d.node(695, 40, "run|weights, facts", kind="strong")
    for n, words in enumerate(["sample", "evaluate", "compare", "pictures"]):
        x = 155 + 150 * n
        d.arrow((695, 62), (695, 88), (x, 88), (x, 107))
        d.node(x, 130, words)
        d.arrow((x, 152), (x, 197))
    d.box(60, 198, 640, 44, "open")
    d.words(380, 220, "data, for the command line, notebooks, the demo and tests")
    return d


def above_and_left() -> Diagram:
    """The two regions on which a position depends."""
    d = Diagram("The two regions on which a position depends", 640, 230)
    for row in range(5):
        for column in range(7):
            before, own = row < 3, row == 3
            kind = "strong" if before else "warm" if own and column < 3 else "open"
            d.box(20 + 36 * column, 20 + 36 * row, 34, 34, kind)
    d.words(20 + 36 * 3 + 17, 20 + 36 * 3 + 17, "x")
    d.box(310, 44, 34, 34, "strong")
    d.words(360, 52, "Above: the rows above.", "start")
    d.words(360, 72, "Computed once for each row.", "small start")
    d.box(310, 108, 34, 34, "warm")
    d.words(360, 116, "Left: the same row, to the left.", "start")
    d.words(360, 136, "Computed for each new column.", "small start")
    d.box(310, 172, 34, 34, "open")
    d.words(360, 180, "Not used: x itself and later positions.", "start")
    d.words(360, 200, "These positions are drawn later.", "small start")
    return d


def two_streams() -> Diagram:
    """The block of the Gated PixelCNN."""
    d = Diagram("A block of the Gated PixelCNN", 740, 230)
    for y, words, kind, out in (
        (50, "Above|rows above", "strong", "from the rows above"),
        (170, "Left|same row", "warm", "and from the row so far"),
    ):
        d.words(45, y, "vertical" if y == 50 else "horizontal")
        d.arrow((85, y), (118, y))
        d.node(175, y, words, kind=kind)
        d.words(655, y - 34, out, "small")
    d.arrow((230, 50), (348, 50))
    d.node(405, 50, "gate|tanh x sigmoid")
    d.arrow((460, 50), (700, 50))
    d.arrow((285, 50), (285, 88))
    d.node(285, 110, "link|1x1", w=70)
    d.arrow((285, 132), (285, 156))
    d.arrow((230, 170), (271, 170))
    d.words(285, 170, "+")
    d.arrow((299, 170), (348, 170))
    d.node(405, 170, "gate|tanh x sigmoid")
    d.arrow((460, 170), (488, 170))
    d.node(530, 170, "1x1", w=80)
    d.arrow((570, 170), (601, 170))
    d.words(615, 170, "+")
    d.arrow((629, 170), (700, 170))
    d.arrow((100, 170), (100, 215), (615, 215), (615, 184))
    return d


def hierarchy() -> Diagram:
    """A VQ-VAE-2 and its prior."""
    d = Diagram("A VQ-VAE-2 and its prior", 760, 300)
    d.node(70, 40, "image|28 x 28")
    d.arrow((125, 40), (178, 40))
    d.node(235, 40, "encoder|14 x 14")
    d.arrow((290, 40), (343, 40))
    d.node(400, 40, "encoder|7 x 7")
    d.arrow((455, 40), (508, 40))
    d.node(565, 40, "top codes|7 x 7", kind="strong")
    d.arrow((235, 62), (235, 130), (338, 130))
    d.node(400, 130, "bottom codes|14 x 14", w=120, kind="warm")
    d.arrow((565, 62), (565, 100), (430, 100), (430, 106))
    d.words(505, 92, "decoded", "small")
    d.arrow((460, 130), (598, 130))
    d.arrow((620, 40), (655, 40), (655, 107))
    d.node(655, 130, "decoder|both levels")
    d.arrow((710, 130), (735, 130), (735, 40))
    d.words(718, 26, "image", "small")
    d.box(15, 190, 730, 96, "open")
    d.words(75, 240, "prior", "")
    d.node(235, 240, "P(top)", kind="strong")
    d.arrow((290, 240), (338, 240))
    d.node(400, 240, "CodeContext|up to 14 x 14", w=120)
    d.arrow((460, 240), (523, 240))
    d.node(600, 240, "P(bottom given top)", w=150, kind="warm")
    return d


def run_folder() -> Diagram:
    """The files of a run."""
    entries = [
        ("config.json", "every key of the experiment"),
        ("data.json", "shape, values per symbol, classes, splits"),
        ("checkpoints/", "the latest two and the best, with checksums"),
        ("metrics.jsonl", "one record a line"),
        ("events/", "the same for TensorBoard"),
        ("samples/", "pictures drawn in training"),
        ("evaluation/", "kept results of evaluate.py"),
        ("tokenizer/", "of a prior: a copy of its tokenizer"),
        ("codes/", "of a tokenizer: the codes of its images"),
    ]
    d = Diagram("The files of a run folder", 560, 50 + 30 * len(entries))
    d.words(20, 22, "runs/digits/", "mono")
    for n, (name, words) in enumerate(entries):
        y = 54 + 30 * n
        kind = "strong" if n < 3 else "box"
        d.box(36, y - 12, 150, 24, kind)
        d.words(46, y, name, "mono")
        d.words(206, y, words, "small start")
    return d


DIAGRAMS = {
    "data_flow": data_flow,
    "above_and_left": above_and_left,
    "two_streams": two_streams,
    "hierarchy": hierarchy,
    "run_folder": run_folder,
}

if __name__ == "__main__":
    for name, draw in DIAGRAMS.items():
        (IMAGES / f"{name}.svg").write_text(draw().svg())
