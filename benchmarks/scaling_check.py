#!/usr/bin/env python3
"""The model of scaling.py against ranks of this machine, over Gloo: SmolLM2-135M in float32, cached reference values.

    .venv/bin/python benchmarks/scaling_check.py [--ranks 2 4] [--shard none optimizer full] [--data brief] [--rounds 3]

The model's inputs are measured first, in as many processes of one thread at once as there are ranks, so that the cores and
the memory that ranks share are in them: how long the phases of a step take for a rank's share of the rows (step_bench),
and how long Gloo takes to swap a batch of numbers, to add up what has come, and to swap short messages. Ranks that share
cores with what copies for them overlap nothing. Prints the seconds of a step by the model and by runs of ddro-train,
as min / median / max over the rounds, and their ratio.

Needs what ranks.py needs, and a machine that is otherwise quiet.
"""
import argparse
import datetime
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import against_trl
from measure import environment, spread, step_bench, write_rows
from scaling import SHARDS, Job, Model, Network, Work, step_seconds

SMOLLM2 = Model("SmolLM2-135M", 30, 576, 1536, 192, 49152, tied=True)
BATCH = 1 << 21
SHORT = 512  # numbers
TRIPS = 20


def be_gloo_rank(rank, ranks, port):
    """Seconds of a batch that is swapped, of one that is added up as well, and of a short one; rank 0 prints them."""
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=ranks,
                                   timeout=datetime.timedelta(seconds=120))
    others = [other for other in range(ranks) if other != rank]

    def seconds(numbers, adds):
        own, out = torch.ones(ranks, numbers), torch.empty(ranks, numbers)

        def swap():
            works = [distributed.irecv(out[other], other) for other in others]
            works += [distributed.isend(own[other], other) for other in others]
            for work in works:
                work.wait()
            for other in others if adds else []:
                own[rank].add_(out[other])

        swap()
        distributed.barrier()
        start = time.perf_counter()
        for _ in range(TRIPS):
            swap()
        distributed.barrier()
        return (time.perf_counter() - start) / TRIPS

    measured = [seconds(BATCH // ranks, False), seconds(BATCH // ranks, True), seconds(SHORT, False)]
    if rank == 0:
        print(*measured)


def gloo_network(ranks):
    port = 29000 + os.getpid() % 1000
    processes = [subprocess.Popen([sys.executable, __file__, "--be", str(rank), str(ranks), str(port)],
                                  env=environment(1), stdout=subprocess.PIPE, text=True) for rank in range(ranks)]
    outputs = [process.communicate()[0] for process in processes]
    swapped, added, short = map(float, outputs[0].split())
    sent = BATCH * 4 * (ranks - 1) / ranks
    return Network(bandwidth=sent / max(swapped - short, 1e-9), latency=short, batch=BATCH, overlaps=False,
                   adding=max(added - swapped, 0.0) / sent)


def measured_work(arguments, data, ranks):
    """By `shard` the work of one rank with its share of a step's rows, of `ranks` at once; and its micro-batches."""
    options = {"model": arguments.model, "data": data, "pairs": arguments.batch_size // ranks, "steps": 3, "cached": "true",
               "update": "true", "profile": "true", "micro_batch_tokens": arguments.micro_batch_tokens}
    with ThreadPoolExecutor(ranks) as pool:
        results = list(pool.map(lambda _: step_bench(1, **options), range(ranks)))
    phases = [{phase["name"]: phase["seconds"] for phase in result["phases"]} for result in results]
    # The profiled step's phases, at the pace of those that were only timed.
    pace = (statistics.median(second for result in results for second in result["seconds"]) /
            statistics.median(sum(each.values()) for each in phases))
    seconds = {name: pace * statistics.median(each[name] for each in phases) for name in phases[0]}
    micro_batches = math.ceil(results[0]["packed_tokens"] / arguments.micro_batch_tokens)
    forward, backward, zeros = (seconds.pop(name) for name in ("forward", "backward", "zero gradients"))
    own = seconds.pop("update") + seconds.pop("gradient norm")
    layers = SMOLLM2.layers * micro_batches
    return {shard: Work(forward / layers, backward / layers, head=sum(seconds.values()) / micro_batches,
                        update=own / (1 if shard == "none" else ranks) + zeros / (ranks if shard == "full" else 1))
            for shard in SHARDS}, micro_batches


def main():
    if sys.argv[1:2] == ["--be"]:
        be_gloo_rank(*map(int, sys.argv[2:]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--shard", nargs="+", default=SHARDS, choices=SHARDS)
    own, words = parser.parse_known_args()
    arguments = against_trl.parse_arguments(words)
    arguments.threads = 1
    options = list(arguments.ddro_set)
    print("| data | ranks | `shard` | Gloo, GB/s | by the model, s a step | measured, s a step | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in arguments.data:
        with tempfile.TemporaryDirectory() as scratch:
            data = os.path.join(scratch, f"{name}.jsonl")
            write_rows(name, arguments.steps * arguments.batch_size, data)
            for ranks in own.ranks:
                network = gloo_network(ranks)
                works, micro_batches = measured_work(arguments, data, ranks)
                for shard in own.shard:
                    job = Job(ranks, shard, micro_batches, weight_bytes=4)
                    model = step_seconds(works[shard], SMOLLM2, network, job)
                    arguments.ddro_set = options + [f"distributed.shard={shard}"]
                    measured = [arguments.batch_size / against_trl.run_ddro(arguments, data, True, ranks)["pairs_per_s"]
                                for _ in range(arguments.rounds)]
                    columns = [name, ranks, shard, f"{network.bandwidth / 1e9:.2f}", f"{model:.3g}", spread(measured),
                               f"{model / statistics.median(measured):.2f}"]
                    print(f"| {' | '.join(map(str, columns))} |", flush=True)


if __name__ == "__main__":
    main()
