#!/usr/bin/env python3
"""How long a step takes in several ranks: a model of time, and what it says of GPUs that were not there to be measured.

    .venv/bin/python benchmarks/scaling.py [--bandwidth-share 0.5] [--batch NUMBERS]

It prints a prediction for H200s, by the inputs that stand in H200 and FABRICS; scaling_check.py compares the model with
ranks of this machine. It follows the program (docs/distributed.md):

- with `none` and `optimizer` the gradients of a unit (the head, a layer, the embedding) travel as soon as its backward
  in the last micro-batch is done, in batches, of which at most four are under way; behind the update the new weights of
  `optimizer` travel while nothing is computed;
- with `full` a unit comes while the one before computes, twice a micro-batch, and its gradients are added up while the
  one below computes.

One exchange goes over the network at a time. A batch of N numbers in W ranks, gathered from parts or added up into parts,
takes

    latency + N * bytes a number * (W - 1) / W / bandwidth

and twice the latter where all get the sums. Where ranks share cores with what copies for the network, nothing overlaps.
"""
import argparse
from dataclasses import dataclass

SHARDS = ["none", "optimizer", "full"]
MOST_BEGUN = 4  # batches of gradients


@dataclass(frozen=True)
class Model:
    name: str
    layers: int
    width: int
    inner: int
    keys: int  # width of keys, and of values
    vocabulary: int
    tied: bool

    @property
    def layer(self):
        return 2 * self.width * (self.width + self.keys + 1) + 3 * self.width * self.inner

    @property
    def head(self):
        return self.vocabulary * self.width

    @property
    def units(self):
        """Numbers by unit in the order of a forward; a tied head is the embedding."""
        return [self.head] + self.layers * [self.layer] + ([] if self.tied else [self.head])

    @property
    def numbers(self):
        return sum(self.units)


@dataclass(frozen=True)
class Work:
    """Seconds of a rank without exchanges: of a layer and the head in a micro-batch, and once a step."""
    forward: float
    backward: float
    head: float  # both ways
    update: float  # with the norm, and the zeros before the first micro-batch

    def micro_batch(self, layers):
        return layers * (self.forward + self.backward) + self.head


@dataclass(frozen=True)
class Network:
    bandwidth: float  # bytes/s that a rank sends while as many come
    latency: float  # s of a batch
    batch: int  # numbers
    overlaps: bool = True
    adding: float = 0.0  # s for each byte that is sent to be added up


@dataclass(frozen=True)
class Job:
    ranks: int
    shard: str
    micro_batches: int  # of each rank
    weight_bytes: int  # of a number that the model computes with
    gradient_bytes: int = 4


class Rank:
    """One rank's clock, and that of its end of the network, which does one thing at a time."""

    def __init__(self, network, ranks):
        self.network, self.ranks = network, ranks
        self.now = self.free = 0.0

    def compute(self, seconds):
        self.now += seconds

    def wait(self, until):
        self.now = max(self.now, until)

    def _begin(self, numbers, number_bytes, adding):
        """An exchange begins; when each of its batches has come."""
        ends = []
        for first in range(0, numbers, self.network.batch):
            sent = min(self.network.batch, numbers - first) * number_bytes * (self.ranks - 1) / self.ranks
            self.free = max(self.free, self.now) + self.network.latency + sent * (1 / self.network.bandwidth + adding)
            if not self.network.overlaps:
                self.now = self.free
            ends.append(self.free)
        return ends

    def gather(self, numbers, job):
        return self._begin(numbers, job.weight_bytes, 0.0)[-1]

    def add_up(self, numbers, job):
        return self._begin(numbers, job.gradient_bytes, self.network.adding)


def whole_gradients(rank, work, model, job):
    """Micro-batches with `none` and `optimizer`; the last sends."""
    rank.compute((job.micro_batches - 1) * work.micro_batch(model.layers))
    rank.compute(model.layers * work.forward + work.head)
    under_way = []

    def send(numbers):
        for end in rank.add_up(numbers * (2 if job.shard == "none" else 1), job):
            under_way.append(end)
            if len(under_way) == MOST_BEGUN:
                rank.wait(under_way.pop(0))

    if not model.tied:
        send(model.head)
    for _ in range(model.layers):
        rank.compute(work.backward)
        send(model.layer)
    send(model.head)
    rank.wait(rank.free)


def parts(rank, work, model, job):
    """Micro-batches with `full`."""
    for _ in range(job.micro_batches):
        coming = rank.gather(model.head, job)
        rank.wait(coming)
        coming = rank.gather(model.layer, job)
        for layer in range(model.layers):
            rank.wait(coming)
            if layer + 1 < model.layers or not model.tied:
                coming = rank.gather(model.layer if layer + 1 < model.layers else model.head, job)
            rank.compute(work.forward)
        rank.wait(coming)
        coming = rank.gather(model.layer, job)
        rank.compute(work.head)
        added_up = rank.now if model.tied else rank.add_up(model.head, job)[-1]
        for layer in reversed(range(model.layers)):
            rank.wait(coming)
            if layer > 0:
                coming = rank.gather(model.layer, job)
            rank.compute(work.backward)
            rank.wait(added_up)
            added_up = rank.add_up(model.layer, job)[-1]
        rank.wait(added_up)
        rank.wait(rank.add_up(model.head, job)[-1])


def step_seconds(work, model, network, job):
    rank = Rank(network, job.ranks)
    if job.ranks == 1:
        rank.compute(job.micro_batches * work.micro_batch(model.layers))
    elif job.shard == "full":
        parts(rank, work, model, job)
    else:
        whole_gradients(rank, work, model, job)
    rank.compute(work.update)
    if job.ranks > 1 and job.shard == "optimizer":
        rank.wait(rank.gather(model.numbers, job))
    return rank.now


# From here on: GPUs.

@dataclass(frozen=True)
class Card:
    rate: float  # FLOP/s of the useful products of a step, in bfloat16
    copying: float  # bytes/s of memory
    memory: float  # bytes


@dataclass(frozen=True)
class Fabric:
    """Cards in nodes, over which rings of the cards go."""
    name: str
    nodes: int
    inside: float  # bytes/s that a card sends to another one
    between: float  # bytes/s that a node sends
    step_inside: float  # s of one of a ring's W - 1 steps
    step_between: float
    start: float  # s of an exchange
    cards: int = 8

    def network(self, batch, share=1.0):
        bandwidth = self.inside if self.nodes == 1 else min(self.inside, self.between)
        crossings = self.nodes - 1
        latency = self.start + crossings * self.step_between + (self.ranks - 1 - crossings) * self.step_inside
        return Network(share * bandwidth, latency, batch)

    @property
    def ranks(self):
        return self.nodes * self.cards


LLAMA_1B = Model("1B (Llama 3.2)", 16, 2048, 8192, 512, 128256, tied=True)
LLAMA_8B = Model("8B (Llama 3.1)", 32, 4096, 14336, 1024, 128256, tied=False)
LLAMA_70B = Model("70B (Llama 3.1)", 80, 8192, 28672, 1024, 128256, tied=False)

# An H200 computes products of 8192 in bfloat16 at 790 TFLOP/s and copies 4.3 TB/s (measured); published trainings of dense
# models on H100 and H200 use 40 to 58 % of 989 TFLOP/s. 141 GB by its data sheet, of which 10 % are left alone.
H200 = Card(rate=450e12, copying=4.3e12, memory=0.9 * 141e9)
# NVLink 4: 450 GB/s each way by its data sheet; 400 Gb/s are 50 GB/s. A ring's steps and its start by NCCL's own table
# (src/graph/tuning.cc, rings, protocol Simple). Four fifths of a wire's rate for long messages: an assumption;
# --bandwidth-share says what another share would give.
WIRE_SHARE = 0.8
_RING = {"step_inside": 3.4e-6, "step_between": 14e-6, "start": 8.4e-6}
FABRICS = [Fabric("8 cards", 1, WIRE_SHARE * 450e9, 0, **_RING),
           Fabric("64 cards, 400 Gb/s each", 8, WIRE_SHARE * 450e9, WIRE_SHARE * 8 * 50e9, **_RING),
           Fabric("64 cards, 400 Gb/s a node", 8, WIRE_SHARE * 450e9, WIRE_SHARE * 50e9, **_RING)]
BATCH = 1 << 26
MICRO_BATCH = 8192  # tokens
TOKENS = [8192, 32768]  # of a card in a step


def recomputes(model):
    return model.numbers > 20e9


def kept_bytes(model):
    """Activations of a token in bfloat16: of all layers, or one state of each layer and one layer."""
    of_layer = 2 * (6 * model.width + 2 * model.keys + 3 * model.inner)
    return 2 * model.layers * model.width + of_layer if recomputes(model) else model.layers * of_layer


def memory(model, shard, ranks, moments=8):
    """Bytes of a rank in bfloat16 (docs/distributed.md), `moments` of them a number."""
    weights = {"none": 10 + moments, "optimizer": 6 + (4 + moments) / ranks, "full": (10 + moments) / ranks}[shard]
    gathered = 0 if shard != "full" else 2 * model.layer * 6 + 2 * max(model.head, model.layer) * 6
    return model.numbers * weights + gathered + MICRO_BATCH * kept_bytes(model) + 2e9


def card_work(model, shard, ranks, card):
    tokens = MICRO_BATCH
    forward = 2 * model.layer * tokens / card.rate
    owned = model.numbers / (1 if shard == "none" else ranks)
    return Work(forward=forward, backward=(3 if recomputes(model) else 2) * forward,
                head=3 * 2 * model.head * tokens / card.rate,
                update=(30 * owned + 8 * model.numbers / (ranks if shard == "full" else 1)) / card.copying)


def efficiency(model, shard, fabric, tokens, share=1.0, batch=BATCH, card=H200):
    """What a card does in W ranks, of what it would do if exchanges took no time."""
    work = card_work(model, shard, fabric.ranks, card)
    job = Job(fabric.ranks, shard, tokens // MICRO_BATCH, weight_bytes=2)
    alone = job.micro_batches * work.micro_batch(model.layers) + work.update
    seconds = step_seconds(work, model, fabric.network(batch, share), job)
    return alone / seconds, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bandwidth-share", type=float, default=1.0, help="of the bandwidths assumed")
    parser.add_argument("--batch", type=int, default=BATCH, help="numbers that travel at once")
    arguments = parser.parse_args()
    print("| model | cards | `shard` | moments | GB a card | " +
          " | ".join(f"{tokens:,} tokens a card: s a step, share" for tokens in TOKENS) + " |")
    print("| --- | --- | --- | --- | --- |" + len(TOKENS) * " --- |")
    for model in (LLAMA_1B, LLAMA_8B, LLAMA_70B):
        for fabric in FABRICS:
            for shard in SHARDS:
                moments = next((m for m in (8, 2) if memory(model, shard, fabric.ranks, m) <= H200.memory), None)
                if moments is None:
                    continue
                columns = []
                for tokens in TOKENS:
                    share, seconds = efficiency(model, shard, fabric, tokens, arguments.bandwidth_share,
                                                arguments.batch)
                    columns.append(f"{seconds:.3g}, {share:.2f}")
                print(f"| {model.name} | {fabric.name} | {shard} | {'float32' if moments == 8 else 'float8'} | "
                      f"{memory(model, shard, fabric.ranks, moments) / 1e9:.0f} | {' | '.join(columns)} |")


if __name__ == "__main__":
    main()
