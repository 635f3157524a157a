"""The scaling curve: wall time against devices, log-log, as an SVG that follows light and dark."""
import math

LEFT, TOP, WIDTH, HEIGHT, LABELS = 56, 56, 350, 330, 128
COLOURS = {
    "wrmem": ("#0072b2", "#56b4e9"),
    "bare": ("#5f6b7a", "#98a4b3"),
    "asyncssh": ("#009e73", "#16b389"),
    "scrapli-asyncssh": ("#8a5a00", "#d9a441"),
    "scrapli-ssh2": ("#b07d00", "#f0c050"),
    "netmiko": ("#b3001b", "#ff6b70"),
    "nornir-100": ("#a3558a", "#d98cb8"),
    "nornir-20": ("#7d4f9e", "#b79ae0"),
    "openssh-xargs": ("#6b7a1e", "#b5c95a"),
    "ansible": ("#4d5763", "#b6bec8"),
}


def style():
    """Colours as classes; the dark ones where the reader's screen is dark."""
    def rules(theme):
        return "".join(
            f".{name}{{stroke:{pair[theme]}}}text.{name}{{fill:{pair[theme]};stroke:none}}"
            for name, pair in COLOURS.items()
        )

    light = "--paper:#fff;--ink:#1c2128;--dim:#5f6b7a;--line:#dfe3e8"
    dark = "--paper:#14181d;--ink:#e4e8ed;--dim:#98a4b3;--line:#2b323b"
    return (
        f"<style>svg{{{light}}}text{{font:12px system-ui,sans-serif;fill:var(--ink)}}"
        ".paper{fill:var(--paper)}.grid{stroke:var(--line)}.dim{fill:var(--dim)}.title{font-weight:600}"
        "path{fill:none;stroke-width:1.5}path.wrmem{stroke-width:3}path.lead{stroke-width:.6;opacity:.6}text.wrmem{font-weight:600}"
        ".ideal{stroke:var(--ink);stroke-dasharray:5 4}"
        f"{rules(0)}@media(prefers-color-scheme:dark){{svg{{{dark}}}{rules(1)}}}</style>"
    )


def ideal(points, cpu_ms, cores):
    """What no client can beat: one device's own time, or the CPU that client and lab need."""
    one = min(wall for curve in points.values() for size, wall in curve if size == 1)
    return lambda size: max(one, size * cpu_ms / 1000 / cores)


def spread(wanted, gap):
    """Heights as wanted but at least `gap` apart, by moving down and, at the bottom, up again."""
    heights = []
    for height in wanted:
        heights.append(max(height, heights[-1] + gap if heights else height))
    limit = TOP + HEIGHT
    for index in range(len(heights) - 1, -1, -1):
        heights[index] = min(heights[index], limit)
        limit = heights[index] - gap
    return heights


def axes(x, y, sizes, walls, title):
    """Grid lines at decades and the sizes measured, with their labels."""
    parts = [f'<text class="title" x="{LEFT}" y="{TOP - 24}">{title}</text>']
    for size in sizes:
        parts.append(f'<path class="grid" d="M{x(size):.1f} {TOP}v{HEIGHT}"/>')
        parts.append(f'<text class="dim" text-anchor="middle" x="{x(size):.1f}" y="{TOP + HEIGHT + 17}">{size:,}</text>')
    for power in range(walls[0], walls[1] + 1):
        height = y(10.0 ** power)
        parts.append(f'<path class="grid" d="M{LEFT} {height:.1f}h{WIDTH}"/>')
        parts.append(f'<text class="dim" text-anchor="end" x="{LEFT - 6}" y="{height + 4:.1f}">{10.0 ** power:,g} s</text>')
    parts.append(f'<text class="dim" text-anchor="middle" x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 36}">devices</text>')
    return parts


def panel(offset, title, points, cpu_ms, cores):
    """One profile: `points` is {contestant: [(devices, wall seconds), ...]}, rising in devices."""
    sizes = sorted({size for curve in points.values() for size, _ in curve})
    every = [wall for curve in points.values() for _, wall in curve]
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))
    span = math.log10(max(sizes)) or 1

    def x(size):
        return LEFT + WIDTH * math.log10(size) / span

    def y(wall):
        return TOP + HEIGHT * (high - math.log10(wall)) / max(high - low, 1)

    parts = [f'<g transform="translate({offset} 0)">', *axes(x, y, sizes, (low, high), title)]
    bound = ideal(points, cpu_ms, cores)
    steps = [10 ** (span * step / 60) for step in range(61)]
    line = "L".join(f"{x(step):.1f} {y(bound(step)):.1f}" for step in steps)
    parts.append(f'<path class="ideal" d="M{line}"><title>ideal</title></path>')
    ends = sorted(points, key=lambda name: (-points[name][-1][1], name))
    heights = spread([y(points[name][-1][1]) for name in ends], 14)
    for name, height in sorted(zip(ends, heights), key=lambda pair: pair[0] == "wrmem"):
        curve = points[name]
        line = "L".join(f"{x(size):.1f} {y(wall):.1f}" for size, wall in curve)
        said = ", ".join(f"{size:,}: {wall:.2f} s" for size, wall in curve)
        size, wall = curve[-1]
        parts.append(f'<path class="{name}" d="M{line}"><title>{name}: {said}</title></path>')
        if len(curve) == 1:
            parts.append(f'<circle class="{name}" cx="{x(size):.1f}" cy="{y(wall):.1f}" r="2.5" fill="none"/>')
        parts.append(f'<path class="lead {name}" d="M{x(size):.1f} {y(wall):.1f}L{LEFT + WIDTH + 8} {height:.1f}"/>')
        parts.append(f'<text class="{name}" x="{LEFT + WIDTH + 11}" y="{height + 4:.1f}">{name}</text>')
    return [*parts, "</g>"]


def draw(panels, cores):
    """The whole picture; `panels` is a list of (title, points, CPU ms a device of client and lab)."""
    wide = LEFT + WIDTH + LABELS
    width, height = wide * len(panels), TOP + HEIGHT + 74
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>Wall time against devices</title>",
        style(),
        f'<rect class="paper" width="{width}" height="{height}"/>',
    ]
    for number, (title, points, cpu_ms) in enumerate(panels):
        parts += panel(number * wide, title, points, cpu_ms, cores)
    note = (
        "Dashed: the ideal, the larger of one device's own time and the CPU time that the leanest "
        f"client and the lab need, over {cores} cores."
    )
    parts.append(f'<text class="dim" x="{LEFT}" y="{height - 12}">{note}</text></svg>')
    return "\n".join(parts) + "\n"
