"""The results as a picture: how many times as fast as gearmand, on a scale of powers of two."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2
from xml.sax.saxutils import escape

from benchmarks.server.verdict import SHARE_OF_FLOOR, ShapeVerdict

__all__ = ["draw"]

LEFT, RIGHT, TOP, BOTTOM = 120, 70, 56, 44
WIDTH, BAR, GAP = 820, 14, 8
TIMES = "\N{MULTIPLICATION SIGN}"
TICKS = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

# The text has the colours of the page that shows the picture, whose background it does not paint over.
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.quiet { fill: #59636e; }
.grid { stroke: #d1d9e0; }
.one { stroke: #59636e; }
.bar { fill: #0969da; }
.slower { fill: #bc4c00; }
.floor { stroke: #1f2328; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; }
.quiet { fill: #9198a1; }
.grid { stroke: #3d444d; }
.one { stroke: #9198a1; }
.bar { fill: #4493f8; }
.slower { fill: #db6d28; }
.floor { stroke: #f0f6fc; }
}
"""


def draw(verdicts: Sequence[ShapeVerdict]) -> str:
    """An SVG with a bar for each shape that shows speed and was compared with gearmand."""
    fast = [verdict for verdict in verdicts if verdict.shape.kind in SHARE_OF_FLOOR]
    bars = [(verdict, verdict.to_gearmand) for verdict in fast if verdict.to_gearmand]
    limits = [ratio / verdict.of_floor for verdict, ratio in bars if verdict.of_floor]
    ratios = [ratio for _, ratio in bars]
    low = min([1.0, *ratios]) / 1.2
    high = max([2.0, *ratios, *limits]) * 1.2
    height = TOP + len(bars) * (BAR + GAP) + BOTTOM

    def x(ratio: float) -> float:
        share = (log2(ratio) - log2(low)) / (log2(high) - log2(low))
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    shapes = []
    for tick in TICKS:
        if low <= tick <= high:
            kind = "one" if tick == 1 else "grid"
            shapes.append(
                f'<line class="{kind}" x1="{x(tick)}" y1="{TOP - 8}" x2="{x(tick)}" y2="{height - BOTTOM}"/>'
            )
            shapes.append(text(x(tick), height - BOTTOM + 18, f"{tick:g}{TIMES}", "middle", "quiet"))
    for number, (verdict, ratio) in enumerate(bars):
        y = TOP + number * (BAR + GAP)
        kind = "slower" if ratio < 1 else "bar"
        left, right = sorted((x(1), x(ratio)))
        shapes.append(
            f'<rect class="{kind}" x="{left}" y="{y}" width="{max(right - left, 1):.1f}" height="{BAR}">'
            f"<title>{escape(f'{verdict.shape.name}: {verdict.shape.about}')}</title></rect>"
        )
        shapes.append(text(LEFT - 8, y + BAR - 3, verdict.shape.name, "end"))
        end = right
        if verdict.of_floor:
            limit = x(ratio / verdict.of_floor)
            shapes.append(f'<line class="floor" x1="{limit}" y1="{y - 1}" x2="{limit}" y2="{y + BAR + 1}"/>')
            if right <= limit <= right + 44:
                end = limit
        shapes.append(text(end + 6, y + BAR - 3, f"{ratio:.1f}{TIMES}", "start", "quiet"))

    caption = (
        "against the faster of gearmand -t 1 and -t 4; the line is what the least possible server reaches"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        f' width="{WIDTH}" height="{height}"'
        f' role="img" aria-label="gearcore&#39;s operations per second as a multiple of gearmand&#39;s">\n'
        f"<style>{STYLE}</style>\n"
        + text(8, 20, "Operations per second, as a multiple of gearmand's", "start", "title")
        + "\n"
        + text(8, 38, caption, "start", "quiet")
        + "\n"
        + "\n".join(shapes)
        + "\n</svg>\n"
    )


def text(x: float, y: float, words: str, anchor: str, kind: str = "") -> str:
    """Some words at a place."""
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'
