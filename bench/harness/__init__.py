"""The parts of bench/run: peers, cases, one measurement, statistics, report, plots."""
