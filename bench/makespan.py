#!/usr/bin/env python3
"""A graph with nominal costs, for run_makespan.sh.

    makespan.py define GRAPH MEAN SEED COUNT
        the argument of define_assets()
    makespan.py bound GRAPH MEAN SEED COUNT WORKERS
        milliseconds that every run on so many workers takes at least:
        max(longest path, total / workers)

Costs are lognormal (sigma 1) with this mean, in milliseconds, and the same for
the same seed.  COUNT: take so many assets, upstreams first.
"""
import json
import math
import random
import sys
from graphlib import TopologicalSorter


def load(path, count):
    with open(path, encoding="utf-8") as file:
        models = json.load(file)["models"]
    short = {name: name if len(name) < 64 else f"{name[:57]}_{i}" for i, name in enumerate(sorted(models))}
    models = {short[name]: [short[u] for u in upstreams] for name, upstreams in models.items()}
    graph = {name: sorted(models[name]) for name in sorted(models)}
    order = list(TopologicalSorter(graph).static_order())[:count]
    return {name: graph[name] for name in order}


def costs_of(graph, mean, seed):
    rng = random.Random(seed)
    raw = {name: math.exp(rng.gauss(0, 1)) for name in sorted(graph)}
    scale = mean * len(raw) / sum(raw.values())
    return {name: round(scale * cost, 3) for name, cost in raw.items()}


def longest_path(graph, costs):
    ends = {}
    for name, upstreams in graph.items():
        ends[name] = costs[name] + max((ends[u] for u in upstreams), default=0)
    return max(ends.values())


def definition(name, upstreams, cost):
    return {"name": name, "depends_on": [f"tuva.{u}" for u in upstreams],
            "query": f"SELECT now() AS made FROM pg_sleep({cost / 1000:.6f})"}


def main(what, path, mean, seed, count, workers=None):
    graph = load(path, int(count))
    costs = costs_of(graph, float(mean), int(seed))
    if what == "define":
        json.dump([definition(name, upstreams, costs[name]) for name, upstreams in graph.items()], sys.stdout)
    else:
        print(f"{max(longest_path(graph, costs), sum(costs.values()) / int(workers)):.3f}")


if len(sys.argv) != {"define": 6, "bound": 7}.get(sys.argv[1] if len(sys.argv) > 1 else None):
    sys.exit(__doc__)
main(*sys.argv[1:])
