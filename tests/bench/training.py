r"""Training over a slow network:

    python tests/bench/training.py --out docs/experiments/links --page docs/training.md

Each rank is a process in a network namespace of its own. The namespaces hang on a bridge, and each
link is limited to so many Mbit/s by a token bucket (`tc tbf`). It needs root, and iproute2. With
the defaults it takes about eight minutes.

For each number of ranks, link and method, a language model is trained anew for some seconds (or
some steps, by --steps). Before that, some plain steps and one by the method, in which it finds its
settings, go at full speed and do not count. A row has the seconds of a step (the median), those
beyond the computation of the same ranks, the CPU time of a rank beyond that, the kilobytes that a
rank sends in a step, how many times fewer they are than plain ones in a ring, the number of steps,
and the loss at the end, in nats on text that nobody trains on. Replicas are compared bit for bit
after every 10th step. With --out, `table.csv` has all rows, `steps.csv` the loss after each step,
and `links.png` draws it against time. With --page, that page shows the picture, the seconds beyond
the computation, and the loss at the end.

A link of 0 has no limit. So the losses after many steps are found by

    python tests/bench/training.py --ranks 2 --links 0 --vocabulary 512 --steps 200 \
        --methods "plain,klt 0.1,klt 0.14,klt 0.17,klt 0.12 message,klt 0.14 message"
    python tests/bench/training.py --links 0 --width 96 --blocks 2 --steps 120 \
        --methods "plain,klt 0.1,ecsq 0.1"
"""

import argparse
import contextlib
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby, product
from pathlib import Path

METHODS = "plain,PowerSGD 4,int8,klt 0.1,klt 0.3,ecsq 0.1,ecsq 0.2"  # channels by their method, alpha and scope
SUBNET = "10.213.77"
BURST = 32  # kilobytes that a link lets through at once, at least
MARK = "<!-- links -->"  # where a page shows them
NAMES = {"plain": "plain", "PowerSGD": "PowerSGD, rank", "int8": "int8", "klt": "klt, α =", "ecsq": "ecsq, α ="}


@dataclass(frozen=True)
class Row:
    """A line of the table; what its numbers are stands at the head of this file."""

    ranks: int
    mbit: int
    method: str
    step: float
    beyond: float
    cpu: float
    kilobytes: float
    fewer: float
    steps: int
    loss: float


def bridge(process: int) -> str:
    """The name of the bridge that a process of this program has, so that several may run."""
    return f"gcb{process}"


@contextlib.contextmanager
def network(ranks: int) -> Iterator[list[str]]:
    """Namespaces that are joined by a bridge; yields their names."""
    own = bridge(os.getpid())
    names = [f"{own}-{rank}" for rank in range(ranks)]
    clear(own, names)  # a run that was killed may have had the same number
    try:
        ip(f"link add {own} type bridge")
        ip(f"link set {own} up")
        for rank, name in enumerate(names):
            ip(f"netns add {name}")
            ip(f"link add {name}v type veth peer name eth0 netns {name}")
            ip(f"link set {name}v master {own} up")
            ip(f"-n {name} addr add {SUBNET}.{rank + 1}/24 dev eth0")
            ip(f"-n {name} link set eth0 up")
            ip(f"-n {name} link set lo up")
        yield names
    finally:
        clear(own, names)


def ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)


def clear(own: str, names: list[str]) -> None:
    """Delete a bridge and its namespaces, as far as they exist.

    A device lives on for a while after its namespace, so it is deleted by itself.
    """
    for arguments in [*(f"link del {n}v" for n in names), *(f"netns del {n}" for n in names), f"link del {own}"]:
        subprocess.run(["ip", *arguments.split()], check=False, capture_output=True)


def limit(rank: int, mbit: int) -> None:
    """Let a rank send and receive at most so much. It is called within the rank's namespace."""
    outside = ["nsenter", f"--net=/proc/{os.getppid()}/ns/net"]
    for prefix, device in (([], "eth0"), (outside, f"{bridge(os.getppid())}-{rank}v")):
        command = ["tc", "qdisc", "replace" if mbit else "del", "dev", device, "root"]
        rule = f"tbf rate {mbit}mbit burst {max(BURST, mbit // 8)}kb latency 200ms".split() if mbit else []
        subprocess.run([*prefix, *command, *rule], check=bool(mbit), capture_output=not mbit)


def found_by(ranks: int, asked: argparse.Namespace) -> dict:
    """What rank 0 of so many ranks has found."""
    life = Path(__file__).with_name("training_rank.py")
    with tempfile.TemporaryDirectory() as folder, network(ranks) as names:
        settings = vars(asked) | {"ranks": ranks, "out": None, "page": None}
        Path(folder, "asked.json").write_text(json.dumps(settings))
        environment = os.environ | {
            "GLOO_SOCKET_IFNAME": "eth0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
        }  # fmt: skip
        processes = [
            subprocess.Popen(
                ["ip", "netns", "exec", name, sys.executable, str(life), folder, str(rank)], env=environment
            )
            for rank, name in enumerate(names)
        ]
        if any([process.wait() for process in processes]):
            raise SystemExit("a rank failed")
        return json.loads(Path(folder, "found.json").read_text())


def rows_of(ranks: int, found: dict) -> Iterator[Row]:
    """A row for each run. A step of it is the median, and so is the computation."""
    taken, cpu = found["compute"]
    ring = 2 * (ranks - 1) / ranks * 4 * found["parameters"]
    for run in found["runs"]:
        sent = run["bytes"] / max(len(run["losses"]), 1)
        yield Row(
            ranks, run["mbit"], run["method"], run["taken"], run["taken"] - taken, run["cpu"] - cpu, sent / 1000,
            ring / sent, len(run["losses"]), run["loss"],
        )  # fmt: skip


def show(row: Row) -> None:
    print(
        f"{row.ranks:5}{row.mbit:8} {named(row.method):18}{row.step:8.3f}{row.beyond:9.3f}{row.cpu:8.3f}"
        f"{row.kilobytes:11.1f}{row.fewer:8.1f}{row.steps:7}{row.loss:9.4f}",
        flush=True,
    )


def named(method: str) -> str:
    name, *setting = method.split()
    return " ".join([NAMES[name], *setting])


def write(folder: Path, rows: list[Row], runs: list[dict]) -> None:
    """The table, the loss after each step, and the picture."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "table.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(asdict(rows[0])))
        table.writeheader()
        for row in rows:
            table.writerow({key: round(one, 4) if isinstance(one, float) else one for key, one in asdict(row).items()})
    with (folder / "steps.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["ranks", "mbit", "method", "step", "seconds", "loss"])
        for run in runs:
            steps = enumerate(zip(run["seconds"], run["losses"], strict=True), 1)
            key = run["ranks"], run["mbit"], run["method"]
            lines.writerows([*key, step, round(seconds, 4), round(loss, 4)] for step, (seconds, loss) in steps)
    draw(folder / "links.png", runs)


def put(page: Path, folder: Path, rows: list[Row]) -> None:
    """Put the picture and a table into a page, between the mark and the next heading."""
    methods = [*dict.fromkeys(row.method for row in rows)]
    lines = [f"| ranks | Mbit/s | {' | '.join(map(named, methods))} |", "|--:" * (2 + len(methods)) + "|"]
    for key, own in groupby(rows, lambda row: (row.ranks, row.mbit)):
        cells = [f"{max(row.beyond, 0):.2f} s · {row.loss:.2f}" for row in own]
        lines.append(f"| {' | '.join([*map(str, key), *cells])} |")
    before, mark, rest = page.read_text(encoding="utf-8").partition(MARK)
    picture = (
        f"![loss against time for several links]({Path(os.path.relpath(folder, page.parent)).as_posix()}/links.png)"
    )
    caption = "Seconds of a step beyond its computation, and the loss at the end:"
    parts = [before + mark, picture, caption, "\n".join(lines), rest[rest.index("\n## ") + 1 :]]
    page.write_text("\n\n".join(parts), encoding="utf-8")


def draw(path: Path, runs: list[dict]) -> None:
    """The loss against time: a panel for each link, a line of panels for each number of ranks."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counts, links = ([*dict.fromkeys(run[key] for run in runs)] for key in ("ranks", "mbit"))
    methods = [*dict.fromkeys(run["method"] for run in runs)]
    figure = Figure((3.2 * len(links), 2.9 * len(counts)), layout="constrained")
    panels = figure.subplots(len(counts), len(links), sharex="col", sharey=True, squeeze=False)
    for (line, ranks), (column, mbit) in product(enumerate(counts), enumerate(links)):
        axes = panels[line][column]
        axes.set_title(f"{ranks} ranks, {mbit} Mbit/s", fontsize=9)
        for run in runs:
            if (run["ranks"], run["mbit"]) == (ranks, mbit):
                color = f"C{methods.index(run['method'])}"
                seconds, losses = [0.0, *run["seconds"]], [run["first"], *run["losses"]]
                axes.plot(seconds, losses, label=named(run["method"]), color=color)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("seconds of training", fontsize=9)
    figure.supylabel("loss, nats", fontsize=9)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(methods), frameon=False, fontsize=9)
    FigureCanvasAgg(figure).print_png(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", default="2,4", help="how many, with commas between")
    parser.add_argument("--links", default="20,100,500,1000", help="Mbit/s, with commas between")
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--seconds", type=float, default=4.0, help="of training in each run")
    parser.add_argument("--steps", type=int, default=0, help="of each run, instead of seconds")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--vocabulary", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4, help="texts of 64 tokens for each rank and step")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--out", type=Path, help="a folder for tables and the picture")
    parser.add_argument("--page", type=Path, help="a page that is to show them, with --out")
    asked = parser.parse_args()
    rows: list[Row] = []
    runs: list[dict] = []
    for ranks in map(int, asked.ranks.split(",")):
        found = found_by(ranks, asked)
        taken, cpu = found["compute"]
        print(
            f"{ranks} ranks, {found['parameters']:,} parameters; a step that sends nothing: {taken:.3f} s, CPU {cpu:.3f} s"
        )
        print("ranks  Mbit/s method              s/step   beyond     CPU    kB/step   fewer  steps     loss")
        own = list(rows_of(ranks, found))
        for row in own:
            show(row)
        rows += own
        runs += [run | {"ranks": ranks} for run in found["runs"]]
    if asked.out:
        write(asked.out, rows, runs)
        if asked.page:
            put(asked.page, asked.out, rows)


if __name__ == "__main__":
    main()
