"""The paper's experiments: distributed gradient descent with compressed messages, and theory beside measurement.

`problems` (what is minimised) and `messages` (what a worker sends) meet in `methods` (who remembers what, and step sizes); `run`
iterates, on threads or through `gloo`; `suite` runs whole experiments, `figures` draws them.
"""
