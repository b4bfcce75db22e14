#!/usr/bin/env python3
"""Compare measurements that were taken in rounds, side by side.

Reads lines "round side value" (blanks or tabs in between) and compares sides
of the same round, as told by the arguments:

    A/B             ratio, per round
    A-B             difference, per round
    A               A alone
    ...<=M          the median is to be at most M
    ...<=M,U        and the upper bound at most U
    ...>=M          the median is to be at least M
    ...>=M,L        and the lower bound at least L
    p99:A<=M        the 99th percentile of A alone, and that it is to be at most M

Prints the median over the rounds, the quartiles, and a bootstrap interval
that holds the median with 95 % (10,000 resamples, fixed seed); its ends are the
lower and the upper bound.  Measurements of one side in one round are averaged, so a
round may be ABBA.  --unit NAME is printed with everything but ratios.
"""
import random
import re
import statistics
import sys


def read(lines):
    rounds = {}
    for line in lines:
        if not line.strip():
            continue
        number, side, value = line.split()
        rounds.setdefault(number, {}).setdefault(side, []).append(float(value))
    return [{side: statistics.fmean(values) for side, values in r.items()} for r in rounds.values()]


def quantile(ordered, q):
    at = q * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def interval_of_median(values, resamples=10000):
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(resamples))
    return quantile(medians, 0.025), quantile(medians, 0.975)


def values_of(rounds, a, op, b):
    if op is None:
        return [r[a] for r in rounds if a in r]
    both = [r for r in rounds if a in r and b in r]
    if op == "/":
        return [r[a] / r[b] for r in both]
    return [r[a] - r[b] for r in both]


def verdict(value, interval, relation, limits):
    if not limits:
        return ""
    limits = [float(x) for x in limits.split(",")]
    sign, bound, end = (1, "upper", interval[1]) if relation == "<=" else (-1, "lower", interval[0])
    met = sign * value <= sign * limits[0] and (len(limits) < 2 or sign * end <= sign * limits[1])
    wanted = f"wanted {relation} {limits[0]:g}" + (f", {bound} {relation} {limits[1]:g}" if len(limits) > 1 else "")
    return f"  {wanted}: {'met' if met else 'MISSED'}"


def report_percentile(name, q, values, unit, relation, limits):
    value = quantile(sorted(values), q)
    print(f"{name:<34} {value:.4g} {unit}  max {max(values):.4g}  n={len(values)}"
          f"{verdict(value, (value, value), relation, limits)}")


def report(rounds, comparison, unit):
    match = re.fullmatch(r"(?:p([\d.]+):)?([\w.]+)(?:([/-])([\w.]+))?(?:([<>]=)([\d.,]+))?", comparison)
    if not match:
        sys.exit(f"stats.py: cannot read the comparison {comparison!r}")
    percentile, a, op, b, relation, limits = match.groups()
    values = values_of(rounds, a, op, b)
    if not values:
        sys.exit(f"stats.py: no measurements for {comparison!r}")
    name = a if op is None else f"{a} {op} {b}"
    if percentile:
        report_percentile(f"p{percentile} of {name}", float(percentile) / 100, values, unit, relation, limits)
        return
    median = statistics.median(values)
    low, high = interval_of_median(values)
    ordered = sorted(values)
    tail = "" if op == "/" else f" {unit}".rstrip()
    number = "{:.3f}" if op == "/" else "{:.4g}"
    print(f"{name:<34} median {number.format(median)}{tail}"
          f"  95 % [{number.format(low)}, {number.format(high)}]"
          f"  quartiles [{number.format(quantile(ordered, 0.25))}, {number.format(quantile(ordered, 0.75))}]"
          f"  n={len(values)}{verdict(median, (low, high), relation, limits)}")


def main(arguments):
    unit = ""
    if arguments[:1] == ["--unit"]:
        unit = arguments[1]
        arguments = arguments[2:]
    if not arguments:
        sys.exit(__doc__)
    rounds = read(sys.stdin)
    for comparison in arguments:
        report(rounds, comparison, unit)


main(sys.argv[1:])
