"""A trainer sends its weights to two inference processes over sockets, each step as an update.

    python examples/weight_sync.py [--steps N] [--lossless]

The second process joins in the middle: it gets a keyframe first. At the end both have the same bits
as the trainer says that they have. The weights are random, and move as AdamW moves them.
"""

import argparse
import socket
import struct
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import numpy as np

import gcodec

TENSORS = {"embedding": ((512, 128), np.float32), "up": ((512, 128), np.float32), "norm": ((128,), np.float32)}


def send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(struct.pack("<I", len(data)) + data)


def receive(connection: socket.socket) -> bytes:
    """The next message; no bytes at the end."""
    head = connection.recv(4, socket.MSG_WAITALL)
    return connection.recv(struct.unpack("<I", head)[0], socket.MSG_WAITALL) if len(head) == 4 else b""


def checksum(weights: list[np.ndarray]) -> int:
    return crc32(b"".join(array.tobytes() for array in weights))


def inference(port: int) -> None:
    """Follow the weights, and say at the end which ones this process has."""
    receiver, got = gcodec.UpdateReceiver(TENSORS), 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while data := receive(connection):
            weights = receiver.apply(data)
            got += len(data)
            send(connection, struct.pack("<I", checksum(weights)))
    print(f"inference: {receiver.step} updates, {got:,} bytes received", flush=True)


def trainer(steps: int, lossless: bool) -> int:
    rng = np.random.default_rng(0)
    weights = [(rng.standard_normal(shape) * 0.05).astype(dtype) for shape, dtype in TENSORS.values()]
    sender = gcodec.UpdateSender(TENSORS, lossless=True) if lossless else gcodec.UpdateSender(TENSORS, alpha=0.1)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    programs, connections, answers = [], [], [b""]

    def join() -> None:
        programs.append(subprocess.Popen([sys.executable, Path(__file__), "--port", str(port)]))
        connections.append(listener.accept()[0])

    join()
    for step in range(steps):
        update = sender.update(weights)
        for connection in connections:
            send(connection, update)
        if step == steps // 2:
            join()
            send(connections[-1], sender.keyframe())
        answers = [receive(connection) for connection in connections]
        print(f"step {step}: {len(update):,} bytes to each of {len(connections)}", flush=True)
        weights = [x - np.float32(1e-3) * np.tanh(rng.standard_normal(x.shape)).astype(np.float32) for x in weights]
    same = [struct.unpack("<I", answer)[0] == checksum(sender.decoded) for answer in answers]
    for connection, program, right in zip(connections, programs, same, strict=True):
        connection.close()
        program.wait()
        print("same bits" if right else "OTHER BITS")
    return 0 if all(same) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--lossless", action="store_true")
    parser.add_argument("--port", type=int, help="be an inference process of the trainer at this port")
    arguments = parser.parse_args()
    if arguments.port is None:
        return trainer(arguments.steps, arguments.lossless)
    inference(arguments.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
