"""Medians, spreads and ratios of samples that were taken in turn."""
import math


def quantile(values, share):
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def median(values):
    return quantile(values, 0.5)


def summary(values):
    """Median and quartiles; `spread` is half the distance of the quartiles, as a share of the median."""
    middle, low, high = median(values), quantile(values, 0.25), quantile(values, 0.75)
    return {"median": middle, "p25": low, "p75": high, "min": min(values), "max": max(values),
            "spread": (high - low) / 2 / middle if middle else 0.0}


def geomean(values):
    values = [max(v, 1e-12) for v in values]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


class Results:
    """samples[case][peer] = samples in the order of rounds; the questions that reports ask."""

    def __init__(self, cases, clock="wall"):
        self.cases = {case.name: case for case in cases}
        self.clock = clock
        self.samples = {case.name: {} for case in cases}
        self.failures = []

    def add(self, case, peer, sample):
        self.samples[case].setdefault(peer, []).append(sample)

    def values(self, case, peer, key="value"):
        if key == "value" and self.clock == "cpu":
            return [s.get("cpu", s["value"]) for s in self.samples[case].get(peer, [])]
        return [s[key] for s in self.samples[case].get(peer, [])]

    def middle(self, case, peer, key="value"):
        """The median, or None where the peer has no sample."""
        values = self.values(case, peer, key)
        return median(values) if values else None

    def best(self, case, peers, key="value"):
        """The peer with the lowest median, or None."""
        known = [(self.middle(case, p, key), p) for p in peers if self.values(case, p, key)]
        return min(known)[1] if known else None

    def ratio(self, case, peer, base, key="value"):
        """(ratio of medians, quartiles of the ratios round by round), or None."""
        ours, theirs = self.values(case, peer, key), self.values(case, base, key)
        if not ours or not theirs or not median(theirs):
            return None
        rounds = [a / b for a, b in zip(ours, theirs) if b]
        return median(ours) / median(theirs), quantile(rounds, 0.25), quantile(rounds, 0.75)

    def geomean_ratio(self, cases, peer, base, key="value"):
        """(geomean of the ratios, the worst ratio, its case, number of cases), or None."""
        ratios = [(self.ratio(c, peer, base, key), c) for c in cases]
        ratios = [(r[0], c) for r, c in ratios if r]
        if not ratios:
            return None
        worst, where = max(ratios)
        return geomean([r for r, _ in ratios]), worst, where, len(ratios)

    def group(self, name, threads=None):
        return [c.name for c in self.cases.values()
                if c.group == name and (threads is None or c.threads >= threads)]

    def disturbed(self, limit):
        every = [s["others"] for by_peer in self.samples.values()
                 for samples in by_peer.values() for s in samples]
        return sum(1 for others in every if others > limit), len(every)
