"""Update rules: which player moves when, with which optax transformation.

A rule is a sequence of *moves*; one step makes all of them in turn. A move evaluates a field (by default each player's
gradient of its own loss, see `fields`) at the players as they then are. The moving player's optimizer turns its part of
the field into an update.

`lazily`, `lookahead` and `averaged` make a rule of a rule. Everything but `tutorial` works for any number of players.
docs/methods/rules.md compares all rules.
"""

from slantgan_jax.rules._basic import alternating, extrapolated, past_extragradient, simultaneous, tutorial, unrolled
from slantgan_jax.rules._moves import Optimizer
from slantgan_jax.rules._of_rules import averaged, lazily, lookahead, running_mean
from slantgan_jax.rules._rule import Move, Rule, State

__all__ = [
    "Move",
    "Optimizer",
    "Rule",
    "State",
    "alternating",
    "averaged",
    "extrapolated",
    "lazily",
    "lookahead",
    "past_extragradient",
    "running_mean",
    "simultaneous",
    "tutorial",
    "unrolled",
]
