"""Tensors from machine to machine, each sent as soon as it is coded; no file in between.

Here both ends are threads, and the line is a TCP connection of this machine.
"""

import socket
import threading

import numpy as np

import gcodec


def send(port: int) -> None:
    rng = np.random.default_rng(0)
    with (
        socket.create_connection(("127.0.0.1", port)) as line,
        line.makefile("wb") as file,
        gcodec.Writer(file, gcodec.Policy(alpha=0.01)) as writer,
    ):
        for layer in range(4):
            writer.add(f"layer {layer}", rng.normal(size=(256, 128)).astype(np.float32))


with socket.create_server(("127.0.0.1", 0)) as server:
    sender = threading.Thread(target=send, args=(server.getsockname()[1],))
    sender.start()
    line, _ = server.accept()
    with line, line.makefile("rb") as file:
        tensors = gcodec.load(file)  # raises Truncated if the line breaks
    sender.join()

for name, values in tensors.items():
    print(name, values.shape, values.dtype)
assert len(tensors) == 4
