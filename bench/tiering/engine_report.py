"""Tables and plots of what the engine of libhms makes of the traces, next to baselines and oracles."""
import shutil
import statistics
import subprocess

VARIANTS = ("units-2M", "units-256K", "units-64K", "bits", "writes", "profiled")
COLOURS = ("#7f7f7f", "#9467bd", "#1f77b4", "#d62728", "#2ca02c", "#ff7f0e")


def geomean(values):
    values = [value for value in values if value > 0]
    return statistics.geometric_mean(values) if values else float("nan")


def yardstick(result):
    return max(result["layouts"]["recorded"]["static"], 1e-9)


def layout_ratio(of):
    """LA, steady: hits of the last quarter over those of the best pages of that quarter on the same layout."""
    return of["last_hits"] / max(of["last_oracle"], 1e-9)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def hits_table(results):
    rows = []
    for name, result in results.items():
        of, others = result["engine"]["engine"], result["policies"]
        rows.append([name, *(f"{others[p]['hits']:.2f}" for p in ("first-touch", "hemem-like", "memtis-like")),
                     f"{of['hits']:.2f}", f"{of['last_hits']:.2f}", f"{yardstick(result):.2f}", f"{of['oracle']:.2f}",
                     f"{of['hits'] / yardstick(result):.2f}", f"{of['last_hits'] / yardstick(result):.2f}",
                     f"{layout_ratio(of):.2f}",
                     f"{others['memtis-like']['moved_bytes'] / result['fast_bytes']:.2f}",
                     f"{of['moved_bytes'] / result['fast_bytes']:.2f}", f"{of['churn'] * 100:.2f}", str(of["parts"])])
    return table(["kernel", "first-touch", "hemem-like", "memtis-like", "engine", "engine, last quarter", "P*", "oracle of our layout",
                  "OA", "OA last", "LA last", "memtis-like moved", "engine moved", "churn %/s", "parts"], rows)


def variants_table(results):
    rows = [[name, *(f"{result['engine'][v]['last_hits']:.2f} ({layout_ratio(result['engine'][v]):.2f})"
                     for v in ("engine", *VARIANTS))] for name, result in results.items()]
    return table(["kernel", "engine", *VARIANTS], rows)


def phases_table(results):
    rows = []
    for name, result in results.items():
        phases = result["engine"]["engine"]["phases"]
        if len(phases) < 2:
            continue
        for number, phase in enumerate(phases):
            reach = f"{phase['reach_s']:.2f}" if phase["reach_s"] >= 0 else "never"
            rows.append([name, str(number), f"{phase['best']:.2f}", f"{phase['hits']:.2f}", reach,
                         f"{phase['moved_bytes'] / 2**20:.1f}", f"{phase['minimum_bytes'] / 2**20:.1f}"])
    return table(["kernel", "phase", "best static pages", "engine", "s to 95 %", "MiB moved", "minimum"], rows) if rows else ""


def following(results):
    """G6, where the place says what is hot; where it does not, there is no goal, and the figures are told all the same."""
    lines = []
    for text, must, explained in (("contexts explain it, rho >= 0.6", "<= 4", True), ("they do not", "-", False)):
        later = [phase for result in results.values() if (result["rho"]["site_depth_log"] >= 0.6) == explained
                 for phase in result["engine"]["engine"]["phases"][1:]]
        reached = [phase["reach_s"] for phase in later if phase["reach_s"] >= 0]
        if later:
            lines.append([f"G6 seconds to 95 % after a change where {text}: median, worst, never", must,
                          f"{statistics.median(reached) if reached else float('nan'):.2f}, {max(reached, default=float('nan')):.2f}, "
                          f"{len(later) - len(reached)} of {len(later)}"])
    return lines


def born(objects):
    """G9, and what the best division of near memory between classes could have."""
    def share(field):
        return geomean([r["engine"]["profiled"][field] / max(r["engine"]["engine"]["last_hits"], 1e-9) for r in objects.values()])
    return ["G9 with a profile, first second over the final hits, objects: geometric mean (the best that births by class can)",
            ">= 0.97", f"{share('first_second_hits'):.2f} ({share('births'):.2f})"]


def unprivileged(results, objects):
    """G14: accessed bits, which every user may look at, instead of sampled addresses."""
    hits = geomean([r["engine"]["bits"]["hits"] / max(r["engine"]["engine"]["hits"], 1e-9) for r in objects.values()])
    ratios = geomean([layout_ratio(r["engine"]["bits"]) / layout_ratio(r["engine"]["engine"]) for r in results.values()])
    return ["G14 share of G1 and of G2 with accessed bits only", ">= 0.85", f"{hits:.2f}, {ratios:.2f}"]


def goals(results, kinds):
    """The goals that this rig judges, each with its worst case."""
    def of(kind):
        return {name: result for name, result in results.items() if kinds[name] == kind}

    def engine(result):
        return result["engine"]["engine"]

    lines = []
    objects = of("objects")
    if objects:
        lines.append(["G1 OA over objects, geometric mean; whole run, last quarter", ">= 1.05",
                      f"{geomean([engine(r)['hits'] / yardstick(r) for r in objects.values()]):.2f}, "
                      f"{geomean([engine(r)['last_hits'] / yardstick(r) for r in objects.values()]):.2f}"])
    ratios = {name: layout_ratio(engine(result)) for name, result in results.items()}
    worst = min(ratios, key=ratios.get)
    lines.append(["G2 LA, last quarter: geometric mean, worst", ">= 0.95 (all)",
                  f"{geomean(list(ratios.values())):.3f}, {ratios[worst]:.2f} ({worst})"])
    lines += following(results)
    moved = {name: max(phase["moved_bytes"] / max(phase["minimum_bytes"], result["fast_bytes"] / 100)
                       for phase in engine(result)["phases"]) for name, result in results.items()}
    worst = max(moved, key=moved.get)
    churn = {name: engine(result)["churn"] * 100 for name, result in results.items() if len(engine(result)["phases"]) == 1}
    lines.append(["G7 bytes moved per phase over the minimum: median, worst", "<= 2",
                  f"{statistics.median(moved.values()):.2f}, {moved[worst]:.2f} ({worst})"])
    if churn:
        worst = max(churn, key=churn.get)
        lines.append(["G7 churn in the last quarter, % of near memory per s: median, worst", "<= 0.6",
                      f"{statistics.median(churn.values()):.2f}, {churn[worst]:.2f} ({worst})"])
    losses = {name: 1 - engine(result)["hits"] / max(result["policies"]["first-touch"]["hits"], 1e-9)
              for name, result in of("adversary").items()}
    if losses:
        worst = max(losses, key=losses.get)
        lines.append(["G8 hits lost to first touch, worst adversary, %", "<= 3", f"{losses[worst] * 100:.1f} ({worst})"])
    if objects:
        lines += [born(objects), unprivileged(results, objects)]
    return table(["goal", "must", "is"], lines)


def gnuplot(lines):
    if not shutil.which("gnuplot"):
        return "no plot: install gnuplot-nox"
    return subprocess.run(["gnuplot"], input="\n".join(lines), capture_output=True, text=True).stderr.strip()


def plot_hits(path, results):
    series = [("first touch", lambda r: r["policies"]["first-touch"]["hits"]),
              ("hemem-like", lambda r: r["policies"]["hemem-like"]["hits"]),
              ("memtis-like", lambda r: r["policies"]["memtis-like"]["hits"]),
              ("engine", lambda r: r["engine"]["engine"]["hits"]),
              ("best pages, layout of jemalloc", yardstick),
              ("best pages, layout of libhms", lambda r: r["engine"]["engine"]["oracle"])]
    rows = [f'"{name}" ' + " ".join(f"{value(result):.4f}" for _, value in series) for name, result in results.items()]
    plots = ", ".join(f"$data using {i + 2}:xtic(1) linecolor rgb '{COLOURS[i]}' title '{title}'"
                      for i, (title, _) in enumerate(series))
    return gnuplot([f"set terminal svg size {max(700, 100 * len(rows))},460 background '#ffffff' font 'sans,11' noenhanced",
                    f"set output '{path}'", "set style data histograms", "set style histogram clustered gap 1",
                    "set style fill solid 0.9 noborder", "set yrange [0:1]", "set ylabel 'hit ratio of fast memory'",
                    "set xtics rotate by -30 scale 0", "set grid ytics", "set key outside top horizontal",
                    "$data << END", *rows, "END", f"plot {plots}"])


def plot_phases(path, results):
    phased = {name: result for name, result in results.items() if len(result["engine"]["engine"]["phases"]) > 1}
    if not phased:
        return ""
    lines = [f"set terminal svg size 900,{300 * len(phased)} background '#ffffff' font 'sans,11' noenhanced",
             f"set output '{path}'", f"set multiplot layout {len(phased)},1", "set yrange [0:1]", "set xlabel 'seconds (assumed)'",
             "set ylabel 'hit ratio'", "set grid", "set key outside top horizontal"]
    for name, result in phased.items():
        curves = [("first touch", result["policies"]["first-touch"]["series"]),
                  ("hemem-like", result["policies"]["hemem-like"]["series"]),
                  ("memtis-like", result["policies"]["memtis-like"]["series"]), ("engine", result["engine"]["engine"]["series"])]
        rows = [f"{i * result['epoch_s']:.2f} " + " ".join(f"{series[i]:.3f}" for _, series in curves)
                for i in range(min(len(series) for _, series in curves))]
        block = "$" + "".join(c for c in name if c.isalnum())
        lines += [f"{block} << END", *rows, "END", f"set title '{name}'",
                  "plot " + ", ".join(f"{block} using 1:{i + 2} with lines linewidth 2 linecolor rgb '{COLOURS[i]}' title '{title}'"
                                      for i, (title, _) in enumerate(curves))]
    return gnuplot([*lines, "unset multiplot"])


def write(out, results, kinds):
    """Of {kernel: findings on the trace under jemalloc}. Returns the tables and what went wrong with plots."""
    problems = [plot_hits(out / "engine.svg", results), plot_phases(out / "phases.svg", results)]
    epoch = next(iter(results.values()))["epoch_s"]
    parts = [f"The engine, replayed on the heap of libhms (moved: times the size of near memory; an epoch is taken to last {epoch} s):",
             hits_table(results), "Last quarter under other conditions, hit ratio (LA):", variants_table(results)]
    phases = phases_table(results)
    if phases:
        parts += ["Phases:", phases]
    return "\n\n".join([*parts, "Goals that this rig judges:", goals(results, kinds)]), [p for p in problems if p]
