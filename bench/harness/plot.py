"""Plots, by gnuplot, as SVG."""
import pathlib
import re
import shutil
import subprocess

COLOURS = {"glibc": "#7f7f7f", "jemalloc": "#1f77b4", "mimalloc": "#2ca02c", "tcmalloc": "#ff7f0e",
           "tbb": "#9467bd", "memtier": "#8c564b", "hms": "#d62728", "hms-rules": "#ff9896",
           "memkind-default": "#17becf", "memkind-regular": "#9edae5", "memtier-api": "#c49c94",
           "hms-tier": "#000000", "hms-tiering": "#bcbd22",
           "hms-divided": "#9c755f"}


def _quoted(text):
    return '"' + text.replace('"', "'").replace("_", " ") + '"'


def _gnuplot(script):
    done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr.strip()


def _bars(path, title, results, names, peers, key="value"):
    """Bars of each peer's ratio to jemalloc, case by case; the spread as error bars."""
    rows = []
    for name in names:
        ratios = [results.ratio(name, peer, "jemalloc", key) for peer in peers]
        cells = " ".join(f"{r[0]:.4f} {r[1]:.4f} {r[2]:.4f}" if r else "NaN NaN NaN"
                         for r in ratios)
        rows.append(f"{_quoted(name)} {cells}")
    plots = ", ".join(
        f"$data using {2 + 3 * i}:{3 + 3 * i}:{4 + 3 * i}:xtic(1) "
        f"linecolor rgb '{COLOURS.get(peer, '#bcbd22')}' title '{peer}'" for i, peer in enumerate(peers))
    width = max(900, 60 + 14 * len(names) * (len(peers) + 2))
    script = f"""
set terminal svg size {width},520 background '#ffffff' font 'sans,11' noenhanced
set output '{path}'
set title {_quoted(title)}
set style data histograms
set style histogram errorbars gap 2 linewidth 1
set style fill solid 0.9 noborder
set logscale y 2
set yrange [0.125:16]
set ylabel 'ratio to jemalloc (lower is better)'
set xtics rotate by -30 scale 0
set grid ytics
set key outside top horizontal
$data << END
{chr(10).join(rows)}
END
plot 1 with lines linecolor rgb '#000000' dashtype 2 notitle, {plots}
"""
    return _gnuplot(script)


def _sweep(path, results, names, peers):
    """Time per block against its size, a line per peer."""
    points = sorted((int(re.findall(r"sweep/(\d+)", name)[0]), name) for name in names)
    blocks, plots = [], []
    for i, peer in enumerate(peers):
        lines = [f"{size} {results.middle(name, peer)}" for size, name in points
                 if results.values(name, peer)]
        blocks.append(f"$p{i} << END\n" + "\n".join(lines) + "\nEND")
        plots.append(f"$p{i} using 1:2 with linespoints pointtype 7 pointsize 0.5 "
                     f"linecolor rgb '{COLOURS.get(peer, '#bcbd22')}' title '{peer}'")
    newline = "\n"
    script = f"""
set terminal svg size 900,520 background '#ffffff' font 'sans,11' noenhanced
set output '{path}'
set title 'Replacing one of eight blocks, each page touched'
set logscale x 2
set logscale y 10
set xlabel 'bytes'
set ylabel 'ns per block'
set grid
set key outside right
{newline.join(blocks)}
plot {', '.join(plots)}
"""
    return _gnuplot(script)


def draw(folder, results, peers):
    """Writes the plots that the results allow. Gives messages about those that failed."""
    if not shutil.which("gnuplot"):
        return ["no plots: install gnuplot-nox"]
    folder, problems = pathlib.Path(folder), []
    micro = [n for n in results.group("micro") if not n.startswith("sweep/")]
    charts = [
        ("micro-1", "Micro-benchmarks, one thread",
         [n for n in micro if results.cases[n].threads == 1], "value"),
        ("micro-2", "Micro-benchmarks, two threads",
         [n for n in micro if results.cases[n].threads > 1], "value"),
        ("programs-time", "Programs, time", results.group("program"), "value"),
        ("programs-rss", "Programs, peak RSS", results.group("program"), "rss_kib"),
    ]
    for file, title, names, key in charts:
        shown = [p for p in peers if any(results.ratio(n, p, "jemalloc", key) for n in names)]
        if shown:
            problems.append(_bars(folder / f"{file}.svg", title, results, names, shown, key))
    sweep = [n for n in results.group("micro") if n.startswith("sweep/")]
    shown = [p for p in peers if any(results.values(n, p) for n in sweep)]
    if shown:
        problems.append(_sweep(folder / "sweep.svg", results, sweep, shown))
    return [problem for problem in problems if problem]
