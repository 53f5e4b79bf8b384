"""The paper's experiments: distributed gradient descent with compressed messages.

`problems` has what is minimised, and `messages` what a worker sends. `methods` says who remembers
what, and how long steps are. `run` does the rounds, on threads or through `gloo`. `suite` runs
whole experiments, and `figures` draws them. `beside_theory` measures what theory speaks of.
"""
