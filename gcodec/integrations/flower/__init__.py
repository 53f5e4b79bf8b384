"""Federated rounds of Flower with few bytes, in both directions.

    app = ClientApp(mods=[CompressionMod(alpha=0.1)])      # each client
    strategy = Compressed(FedAvg(), alpha=0.1)             # the server

The server sends the model once, and from then on how it has changed since what a client has. Each
client sends how its training has changed what it received. Everything is bytes of gcodec.
"""

from .mod import CompressionMod
from .strategy import Compressed, Traffic

__all__ = ["Compressed", "CompressionMod", "Traffic"]
