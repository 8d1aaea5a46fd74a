# SPDX-License-Identifier: Apache-2.0
"""Results as text, JSON, and charts in SVG."""
import html
import json
import statistics

COLORS = {"weir": "#2b6cb0", "floor": "#a0aec0"}


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def text_of(values):
    found = summary(values)
    if found["min"] == found["max"]:
        return number(found["median"])
    return f"{number(found['median'])} ({number(found['min'])}..{number(found['max'])})"


def show(title, about, rows):
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    cells = [[""] + names] + [[row.name] + [text_of(row.figures[name]) if name in row.figures else "" for name in names]
                              for row in rows]
    widths = [max(len(line[at]) for line in cells) for at in range(len(names) + 1)]
    print(f"\n{title}: {about}")
    for line in cells:
        print("  " + line[0].ljust(widths[0]) + "".join("  " + cell.rjust(width) for cell, width in zip(line[1:], widths[1:])))


def as_json(rows):
    return {row.name: {name: summary(values) for name, values in row.figures.items()} for row in rows}


def bars(title, rows, figure, top):
    """One figure of all rows as bars, from `top` down. SVG text, and where it ended."""
    found = [(row.name, summary(row.figures[figure])) for row in rows if figure in row.figures]
    most = max((value["max"] for _, value in found), default=0) or 1
    parts = [f'<text x="10" y="{top + 16}" class="t">{html.escape(title)}, {figure}</text>']
    for at, (name, value) in enumerate(found):
        y, scale = top + 26 + at * 22, 420 / most
        color = COLORS["floor" if name.startswith("floor") else "weir"]
        parts.append(f'<text x="190" y="{y + 13}" text-anchor="end">{html.escape(name)}</text>'
                     f'<rect x="200" y="{y}" width="{value["median"] * scale:.1f}" height="16" fill="{color}"/>'
                     f'<path d="M{200 + value["min"] * scale:.1f} {y + 8}H{200 + value["max"] * scale:.1f}" stroke="#000"/>'
                     f'<text x="{208 + value["max"] * scale:.1f}" y="{y + 13}">{number(value["median"])}</text>')
    return "".join(parts), top + 26 + len(found) * 22 + 14


def chart(path, results):
    """The first figure of each table, and events per second where there are any; medians, the line from least to most."""
    parts, top = [], 0
    for title, rows in results:
        names = list(dict.fromkeys(name for row in rows for name in row.figures))
        for figure in dict.fromkeys([names[0]] + [name for name in names if name in ("events_per_s", "p99_us", "rss_mib")]):
            part, top = bars(title, rows, figure, top)
            parts.append(part)
    style = "<style>text{font:12px sans-serif}.t{font-weight:bold}</style>"
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{top}">{style}'
                    f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n', encoding="utf-8")


def write(folder, results):
    folder.mkdir(parents=True, exist_ok=True)
    found = {title: as_json(rows) for title, rows in results}
    (folder / "bench.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    chart(folder / "bench.svg", results)
