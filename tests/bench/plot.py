"""The picture that the README shows; runs in the peers' venv: FIGURES.json OUT.png."""

import json
import statistics
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OURS, OTHERS = "#1f6feb", "#b8c0cc"
PANELS = {
    "CPU per request, microseconds": "us_32",
    "the same over TLS": "us_32_tls",
    "at a calm 400 requests/s": "us_calm",
    "memory at rest, MiB": "rss_idle",
}
ORDER = [
    "nginx",
    "haproxy",
    "sidecar",
    "sidecar, interpreted",
    "Envoy",
    "Go ReverseProxy",
    "Go, one thread",
    "Caddy",
    "plain aiohttp",
    "mitmproxy",
]


def draw(figures, panel, title, figure):
    found = {who: statistics.median(figures[who][figure]) for who in ORDER if figure in figures.get(who, {})}
    names = sorted(found, key=found.get, reverse=True)
    # mitmproxy needs ten times as much as the rest: its bar is cut, its number is not.
    limit = 1.25 * max((value for who, value in found.items() if who != "mitmproxy"), default=1)
    bars = [min(found[name], limit) for name in names]
    panel.barh(names, bars, color=[OURS if name.startswith("sidecar") else OTHERS for name in names])
    for place, name in enumerate(names):
        panel.text(bars[place], place, f" {found[name]:.0f}", va="center", fontsize=8)
        if found[name] > limit:
            panel.text(0.92 * limit, place, "//", va="center", color="white", fontsize=14)
    panel.set_title(title, fontsize=10, loc="left")
    panel.set_xlim(0, 1.12 * limit)
    panel.set_xticks([])
    panel.tick_params(labelsize=8, length=0)
    for side in ("top", "right", "bottom"):
        panel.spines[side].set_visible(False)


def main():
    with open(sys.argv[1]) as file:
        figures = json.load(file)
    figure, panels = plt.subplots(2, 2, figsize=(9, 5.2), layout="constrained")
    for panel, (title, name) in zip(panels.flat, PANELS.items(), strict=True):
        draw(figures, panel, title, name)
    figure.savefig(sys.argv[2], dpi=110)


if __name__ == "__main__":
    main()
