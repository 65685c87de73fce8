"""The report: goals, tables in markdown, and the same as JSON."""
import json

from . import cases as cases_module
from . import measure
from .statistics import geomean, summary

SCHEMA = 1
CORE = ("glibc", "jemalloc", "mimalloc", "tcmalloc")


def _table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def _number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _ratio(ratio):
    return "-" if ratio is None else f"{ratio[0]:.2f} ({ratio[1]:.2f}-{ratio[2]:.2f})"


class Report:
    def __init__(self, results, peers, missing, machine, options):
        self.results, self.peers, self.missing = results, peers, missing
        self.machine, self.options = machine, options
        self.names = [p.name for p in peers]
        self.others = [p.name for p in peers if not p.name.startswith("hms")]
        self.calls = {}  # peer -> system calls per million allocations

    # ---- Goals: each is (what, measured, goal, met) ------------------------------------------------

    def goals(self):
        return [*self._table_goals(), *self._tier_goals(), *self._geomean_goals(),
                *self._program_goals(), *self._null_policy_goals(), *self._memory_goals(), *self._openmp_goals()]

    def _table_goals(self):
        """The small cases against the best of the well-known allocators, plain and explicit."""
        for name in self.results.group("micro"):
            if not name.startswith(cases_module.TABLE):
                continue
            best = self.results.best(name, [p for p in CORE if p in self.names])
            for ours in ("hms", "hms-tier"):
                ratio = self.results.ratio(name, ours, best) if best else None
                if ratio:
                    yield (f"{name}: {ours} / {best} (best)", _ratio(ratio), "<= 1.00",
                           ratio[0] <= 1.0)

    def _tier_goals(self):
        """The same against the libraries that allocate on a chosen memory."""
        for name in self.results.group("micro"):
            if not name.startswith(cases_module.TABLE):
                continue
            for theirs in ("memkind-regular", "memtier-api", "memtier"):
                ratio = self.results.ratio(name, theirs, "hms-tier")
                if ratio:
                    yield f"{name}: {theirs} / hms-tier", _ratio(ratio), ">= 5", ratio[0] >= 5.0

    def _geomean_goals(self):
        threaded = self.results.group("micro", threads=2)
        full = [p for p in self.others + ["hms"] if self._covers(p, threaded)]
        means = {p: geomean([self.results.middle(c, p) for c in threaded]) for p in full}
        single = [p for p in means if p != "hms"]
        if "hms" in means and single and threaded:
            best = min(single, key=means.get)
            ratio = means["hms"] / means[best]
            yield (f"geomean of {len(threaded)} two-thread cases: hms / {best} (best)",
                   f"{ratio:.2f}", "<= 0.90", ratio <= 0.90)
        for group, limit in (("micro", None), ("program", None)):
            told = self.results.geomean_ratio(self.results.group(group, limit), "hms-rules", "hms")
            if told:
                yield (f"two-tier rules / default, geomean of {told[3]} {group} cases",
                       f"{told[0]:.3f}, worst {told[1]:.2f} ({told[2]})", "<= 1.03",
                       told[0] <= 1.03)

    def _null_policy_goals(self):
        """Tiering that has nothing to gain, against none."""
        names = self.results.group("program")
        for key, what in (("value", "time"), ("rss_kib", "peak RSS")):
            told = self.results.geomean_ratio(names, "hms-tiering", "hms", key)
            if told:
                limit = {"value": 1.01, "rss_kib": 1.03}[key]
                yield (f"tiering with all memory near / default, {what}, geomean of {told[3]} programs",
                       f"{told[0]:.3f}, worst {told[1]:.2f} ({told[2]})", f"<= {limit:.2f}", told[0] <= limit)

    def _covers(self, peer, names):
        return all(self.results.values(name, peer) for name in names)

    def _program_goals(self):
        names = self.results.group("program")
        for key, what, mean_limit, worst_limit in (("value", "time", 1.00, 1.03),
                                                   ("rss_kib", "peak RSS", 1.05, 1.15)):
            told = self.results.geomean_ratio(names, "hms", "jemalloc", key)
            if told:
                yield (f"{what} of {told[3]} programs, geomean: hms / jemalloc", f"{told[0]:.3f}",
                       f"<= {mean_limit:.2f}", told[0] <= mean_limit)
                yield (f"{what}, worst program: hms / jemalloc", f"{told[1]:.3f} ({told[2]})",
                       f"<= {worst_limit:.2f}", told[1] <= worst_limit)

    def _memory_goals(self):
        for peer in ("hms", "hms-tier"):
            value = self._middle_if_measured("footprint 1 GiB of 64 B", peer)
            if value is not None:
                yield (f"1 GiB of 64 B blocks: resident over live bytes, {peer}",
                       f"{(value - 1) * 100:.2f} %", "<= 1.5 %", value <= 1.015)
        residue, peak = "residue 10 s after 1 GiB", 1024
        value = self._middle_if_measured(residue, "hms")
        if value is not None:
            yield (f"{residue}: still resident, hms", f"{value / peak * 100:.1f} % of the burst",
                   "<= 10 %", value <= 0.1 * peak)
        for peer, calls in self.calls.items():
            yield (f"policy system calls per million small allocations, {peer}",
                   f"{calls['policy']:.1f} (memory calls: {calls['memory']:.1f})", "0",
                   calls["policy"] == 0)

    def _openmp_goals(self):
        """The pair on the stock runtime against ours, and ours against malloc of the same process."""
        for name in self.results.group("openmp"):
            kind, compiler = name.split()[2].rstrip(","), name.split()[3]
            if kind == "calls":  # what two calls of nothing cost: no allocator takes part
                continue
            ratio = self.results.ratio(name, "glibc", "hms-omp")
            if kind == "malloc" or not ratio:
                continue
            least = 1.0 if kind == "pool" else 3.0
            yield f"{name}: stock runtime / hms-omp", _ratio(ratio), f">= {least:g}", ratio[0] >= least
            malloc = self._middle_if_measured(f"omp pair/64 malloc, {compiler} @2", "hms-omp")
            if malloc and kind != "pool":
                over = self.results.middle(name, "hms-omp") / malloc
                yield f"{name}: hms-omp / its malloc", f"{over:.2f}", "<= 1.10", over <= 1.1

    def _middle_if_measured(self, case, peer):
        return self.results.middle(case, peer) if case in self.results.cases else None

    # ---- Markdown ----------------------------------------------------------------------------------

    def markdown(self):
        return "\n".join([self._head(), self._goals_text(), self._tables(), self._calls_text(),
                          self._tail()])

    def _head(self):
        m = self.machine
        disturbed, total = self.results.disturbed(measure.DISTURBED)
        clock = "processor time" if self.options["clock"] == "cpu" else "wall-clock time"
        return (f"# Allocators side by side\n\n"
                f"{m['processors']} x {m['processor']} (hypervisor: {m['hypervisor']}), "
                f"{m['memory']}, {m['memory_nodes']} memory node(s), Linux {m['kernel']}, "
                f"{m['libc']}, {m['compiler']}; transparent huge pages: "
                f"{m['transparent_hugepage']}.\n\n"
                f"{self.options['rounds']} rounds, peers taken in turn within each round, every "
                f"sample a process of its own, {clock}. Cells are medians, +- half the distance of "
                f"the quartiles; ratios are of medians, with the quartiles of the ratios round by "
                f"round in brackets. Others used more than {measure.DISTURBED:.2f} of a processor "
                f"during {disturbed} of {total} samples.\n\n"
                + "Peers: " + ", ".join(f"{p.name} {p.version}" for p in self.peers) + ".\n"
                + "".join(f"Missing: {text}.\n" for text in self.missing))

    def _goals_text(self):
        rows = [[what, value, goal, "yes" if met else "**no**"]
                for what, value, goal, met in self.goals()]
        return "## Goals\n\n" + _table(["what", "measured", "goal", "met"], rows) if rows else ""

    def _tables(self):
        parts = []
        for group, title, key in (("micro", "Micro-benchmarks, ns per block", "value"),
                                  ("program", "Programs, s", "value"),
                                  ("program", "Programs, peak RSS in MiB", "rss_kib"),
                                  ("memory", "Memory", "value"),
                                  ("openmp", "OpenMP, ns per block; glibc: the stock runtime", "value")):
            names = self.results.group(group)
            if names:
                parts.append(f"## {title}\n\n" + self._group_table(names, key))
        return "\n".join(parts)

    def _group_table(self, names, key):
        shown = [p for p in self.names if any(self.results.values(n, p, key) for n in names)]
        compare = [p for p in self.others if p in shown]
        rows = []
        for name in names:
            best = self.results.best(name, compare, key)
            ratio = self.results.ratio(name, "hms", best, key) if best else None
            row = [name if key != "value" or self.results.cases[name].group != "memory"
                   else f"{name}, {self.results.cases[name].unit}"]
            row += [self._cell(name, peer, key) for peer in shown]
            rows.append(row + [f"{_ratio(ratio)} {best}" if ratio else "-"])
        rows.append(["**geomean, ratio to jemalloc**",
                     *[self._mean_cell(names, p, key) for p in shown], ""])
        return _table(["case", *shown, "hms / best peer"], rows)

    def _cell(self, name, peer, key):
        values = self.results.values(name, peer, key)
        if not values:
            return "-"
        told = summary([v / 1024 for v in values] if key == "rss_kib" else values)
        return f"{_number(told['median'])} ±{told['spread'] * 100:.0f}%"

    def _mean_cell(self, names, peer, key):
        told = self.results.geomean_ratio(names, peer, "jemalloc", key)
        return f"{told[0]:.2f}" if told else "-"

    def _calls_text(self):
        if not self.calls:
            return ""
        rows = [[peer, f"{c['policy']:.1f}", f"{c['memory']:.1f}"] for peer, c in self.calls.items()]
        return ("## System calls per million small allocations, steady state\n\n"
                + _table(["peer", "policy", "memory"], rows))

    def _tail(self):
        text = "".join(f"- {failure}\n" for failure in self.results.failures)
        return "## Failures\n\n" + (text or "None.\n")

    # ---- JSON --------------------------------------------------------------------------------------

    def json(self):
        results = self.results
        return json.dumps({
            "schema": SCHEMA,
            "machine": self.machine,
            "options": self.options,
            "peers": [{"name": p.name, "version": p.version, "api": p.api, "env": p.env,
                       "library": p.path} for p in self.peers],
            "missing": self.missing,
            "failures": results.failures,
            "goals": [{"what": w, "measured": v, "goal": g, "met": m}
                      for w, v, g, m in self.goals()],
            "system_calls": self.calls,
            "cases": [{
                "name": case.name, "group": case.group, "unit": case.unit, "threads": case.threads,
                "peers": {peer: {
                    **summary(results.values(case.name, peer)),
                    "rss_kib": results.middle(case.name, peer, "rss_kib"),
                    "faults": results.middle(case.name, peer, "faults"),
                    "samples": [{k: v for k, v in s.items() if k != "output"}
                                for s in results.samples[case.name][peer]],
                } for peer in self.names if results.values(case.name, peer)},
            } for case in results.cases.values()],
        }, indent=1)
