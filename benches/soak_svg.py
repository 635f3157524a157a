"""Memory, threads and open files of a soak over time, as an SVG that follows light and dark."""
import statistics

LEFT, TOP, WIDTH, HEIGHT, GAP = 56, 56, 720, 90, 36
PANELS = [("resident memory with mapped files, MB", 1, "memory"), ("threads", 2, "threads"), ("open files", 3, "files")]
STYLE = (
    "<style>svg{--paper:#fff;--ink:#1c2128;--dim:#5f6b7a;--line:#dfe3e8;--memory:#0072b2;--threads:#009e73;--files:#b07d00}"
    "text{font:12px system-ui,sans-serif;fill:var(--ink)}.paper{fill:var(--paper)}.dim{fill:var(--dim)}.title{font-weight:600}"
    "path{fill:none;stroke-width:1.5}.grid{stroke:var(--line)}.kill{stroke:var(--dim);stroke-width:1;stroke-dasharray:3 3}"
    ".memory{stroke:var(--memory)}.threads{stroke:var(--threads)}.files{stroke:var(--files)}"
    "@media(prefers-color-scheme:dark){svg{--paper:#14181d;--ink:#e4e8ed;--dim:#98a4b3;--line:#2b323b;"
    "--memory:#56b4e9;--threads:#16b389;--files:#f0c050}}</style>"
)


def draw(soak):
    """The whole picture."""
    kills = [life["killed"] - soak.began for life in soak.lives if "killed" in life and "ready" in life]
    seconds = soak.samples[-1][0] - soak.began
    x = lambda at: LEFT + WIDTH * at / seconds
    height = TOP + len(PANELS) * (HEIGHT + GAP) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 24} {height}" role="img">',
        "<title>What wrmem run needs over time</title>",
        STYLE,
        '<rect class="paper" width="100%" height="100%"/>',
        f'<text class="title" x="{LEFT}" y="20">wrmem run: {len(soak.names)} devices every {soak.options.every} s, '
        f"killed {len(kills)} times (dashed)</text>",
    ]
    for row, (title, index, name) in enumerate(PANELS):
        parts += panel(soak, x, TOP + row * (HEIGHT + GAP), (title, index, name), kills)
    step = max(1, round(seconds / 60 / 8))
    for minute in range(0, int(seconds / 60) + 1, step):
        parts.append(f'<text class="dim" text-anchor="middle" x="{x(minute * 60):.1f}" y="{height - 12}">{minute} min</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def panel(soak, x, top, what, kills):
    """One curve with its axis; each life of the process is a line of its own."""
    title, index, name = what
    values = [sample[index] for sample in soak.samples]
    most = max(values) * 1.1 or 1
    y = lambda value: top + HEIGHT - HEIGHT * value / most
    yield f'<text class="dim" x="{LEFT}" y="{top - 6}">{title}: median {statistics.median(values):.0f}, at most {max(values):.0f}</text>'
    for value in (0, max(values) / 2, max(values)):
        yield f'<path class="grid" d="M{LEFT} {y(value):.1f}h{WIDTH}"/>'
        yield f'<text class="dim" text-anchor="end" x="{LEFT - 6}" y="{y(value) + 4:.1f}">{value:.0f}</text>'
    for at in kills:
        yield f'<path class="kill" d="M{x(at):.1f} {top}v{HEIGHT}"/>'
    for life in soak.lives:
        mine = [sample for sample in soak.samples if life["began"] <= sample[0] < life.get("killed", float("inf"))]
        if mine:
            line = "L".join(f"{x(sample[0] - soak.began):.1f} {y(sample[index]):.1f}" for sample in mine)
            yield f'<path class="{name}" d="M{line}"/>'
