# SPDX-License-Identifier: Apache-2.0
"""What is measured. Each scenario takes a kind and gives rows; whatever is compared takes turns in the same run.

A row has a name, and for each of its figures the values of all repetitions. A figure ends with its unit.
"""
import time

from .programs import Folder, Sink, Weir, channel, free_port, latency, post, subscription, wait_for


class Row:
    def __init__(self, name):
        self.name, self.figures = name, {}

    def add(self, **figures):
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)


def burst(target, sinks, options, *more, events=None, copies=1):
    """A burst of events, until each sink has `copies` of all: what an event costs, and how many go through."""
    events = events or options.events
    counts = [sink.count() for sink in sinks]
    allocations = allocated(target)
    cpu, began = target.cpu_ns(), time.monotonic()
    load = post(target, options, "-n", events, *more)
    for sink, count in zip(sinks, counts):
        wait_for(sink, count + copies * events)
    took, cpu = time.monotonic() - began, target.cpu_ns() - cpu
    found = {"cpu_us": cpu / 1000 / events, "events_per_s": events / took, "in_per_s": load["events_per_second"],
             "p50_us": load["latency_us"]["p50"], "p99_us": load["latency_us"]["p99"]}
    if sinks:
        found["twice"] = sum(sink.count() - count - copies * events for sink, count in zip(sinks, counts))
    if allocations is not None:
        found["allocations"] = (allocated(target) - allocations) / events
    return found


def allocated(target):
    return target.figure("weir_process_allocations_total") if isinstance(target, Weir) else None


def repeat(options, *turns):
    """Each turn is (row, function); once to warm up, then in turn as often as asked for."""
    for _, measure in turns:
        measure()
    for _ in range(options.repeat):
        for row, measure in turns:
            row.add(**measure())
    return [row for row, _ in turns]


def ingress(kind, options):
    """In only: a channel without subscriptions, beside a bare epoll server that answers 202."""
    with Folder() as folder, Sink() as floor, Weir(kind, folder, [channel(kind.name)]) as weir:
        return repeat(options, (Row("weir"), lambda: burst(weir, [], options)),
                      (Row("floor: bare 202"), lambda: burst(floor, [], options)))


def inout(kind, options):
    """In and out to 1, 3 and 10 subscribers, beside a bare epoll program that answers and posts on to one."""
    rows = []
    for count in options.subscribers:
        with Folder() as folder, Sink() as sink, Sink() as floor_sink, Sink(floor_sink.port) as floor:
            subscriptions = [subscription(f"s{number}", sink.port) for number in range(count)]
            with Weir(kind, folder, [channel(kind.name, subscriptions=subscriptions)]) as weir:
                weir_row = Row(f"weir, {count} out")
                turns = [(weir_row, lambda: burst(weir, [sink], options, copies=count))]
                if count == 1:
                    turns.append((Row("floor: bare 202 and post"), lambda: burst(floor, [floor_sink], options)))
                rows += repeat(options, *turns)
                weir_row.add(highest_mib=weir.memory_mib("VmHWM"))
    return rows


def paced(kind, options):
    """Latency from when an event was due until it arrived, at fixed rates: 1,000/s and half of what goes through."""
    rows = []
    with Folder() as folder, Sink() as count_sink:
        with Weir(kind, folder, [channel(kind.name, subscriptions=[subscription("s", count_sink.port)])]) as weir:
            most = burst(weir, [count_sink], options)["events_per_s"]
    for rate in (1000, int(most / 2)):
        port = free_port()  # where `weir bench` listens while it measures, and both post to
        with Folder() as folder, Sink(port) as floor:
            with Weir(kind, folder, [channel(kind.name, subscriptions=[subscription("s", port)])]) as weir:
                rows += repeat(options, (Row(f"weir at {rate}/s"), lambda: under_way(weir, port, options, rate)),
                               (Row(f"floor at {rate}/s"), lambda: under_way(floor, port, options, rate)))
    return rows


def under_way(target, port, options, rate):
    found = latency(target, port, options, rate, options.seconds)
    times = found["received_us"]
    return {"p50_us": times["p50"], "p99_us": times["p99"], "p999_us": times["p999"], "missing": found["missing"],
            "twice": found["repeated"]}


def sizes(kind, options):
    """In and out to one subscriber, events of 128 B to 900 KiB."""
    rows = []
    for size in (128, 1024, 16 * 1024, 128 * 1024, 900 * 1024):
        events = max(500, min(options.events, 400 * 1024 * 1024 // size))
        with Folder() as folder, Sink() as sink, Sink() as floor_sink, Sink(floor_sink.port) as floor:
            subscriptions = [subscription("s", sink.port)]
            with Weir(kind, folder, [channel(kind.name, subscriptions=subscriptions)]) as weir:
                more = ("-b", size)
                rows += repeat(options,
                               (Row(f"weir, {size} B"), lambda: burst(weir, [sink], options, *more, events=events)),
                               (Row(f"floor, {size} B"), lambda: burst(floor, [floor_sink], options, *more, events=events)))
    return rows


def channels(kind, options):
    """One busy channel among 1, 100 and 1,000 that idle."""
    rows = []
    for count in (1, 100, 1000):
        with Folder() as folder, Sink() as sink:
            some = [channel(kind.name, f"idle-{number}") for number in range(count - 1)]
            some.append(channel(kind.name, subscriptions=[subscription("s", sink.port)]))
            with Weir(kind, folder, some) as weir:
                row = Row(f"{count} channels")
                repeat(options, (row, lambda: burst(weir, [sink], options)))
                row.add(rss_mib=weir.memory_mib("VmRSS"), ready_ms=weir.ready_ms)
                rows.append(row)
    return rows


def subscriptions(kind, options):
    """One busy subscription among 1, 100 and 1,000, each on a channel of its own."""
    rows = []
    for count in (1, 100, 1000):
        with Folder() as folder, Sink() as sink:
            some = [channel(kind.name, f"idle-{number}", [subscription("s", sink.port)]) for number in range(count - 1)]
            some.append(channel(kind.name, subscriptions=[subscription("s", sink.port)]))
            with Weir(kind, folder, some) as weir:
                row = Row(f"{count} subscriptions")
                repeat(options, (row, lambda: burst(weir, [sink], options)))
                row.add(rss_mib=weir.memory_mib("VmRSS"), ready_ms=weir.ready_ms)
                rows.append(row)
    return rows


def order(kind, options):
    """An ordered subscription: events of one key, of 64 keys, and without order."""
    rows = []
    for name, more, keys in (("one key, in order", {"order": "ordered"}, 1), ("64 keys, in order", {"order": "ordered"}, 64),
                             ("64 keys, unordered", {}, 64)):
        with Folder() as folder, Sink() as sink:
            some = [channel(kind.name, subscriptions=[subscription("s", sink.port, **more)])]
            with Weir(kind, folder, some) as weir:
                rows += repeat(options, (Row(name), lambda: burst(weir, [sink], options, "-k", keys)))
    return rows


def start(kind, options):
    """From exec to ready: on a store that is there already, with what idles then."""
    row = Row("weir")
    with Folder() as folder, Sink() as sink:
        some = [channel(kind.name, subscriptions=[subscription("s", sink.port)])]
        for turn in range(options.repeat + 1):
            with Weir(kind, folder, some) as weir:
                if turn:
                    time.sleep(0.5)
                    row.add(ready_ms=weir.ready_ms, idle_mib=weir.memory_mib("VmRSS"))
    return [row]


SCENARIOS = {function.__name__: function for function in (ingress, inout, paced, sizes, channels, subscriptions, order, start)}
