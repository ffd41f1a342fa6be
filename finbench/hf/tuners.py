"""PEFT's own classes under its adapters: what a tuner is, and a layer that carries one.

Used of PEFT (0.18 to 0.21): `peft.tuners.tuners_utils`, where its tuners find them; PEFT does not
promise it. Without it bottleneck adapters cannot be, and no adapter can be taken off a model in memory.
"""

from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer

__all__ = ["BaseTuner", "BaseTunerLayer"]
