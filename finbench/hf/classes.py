"""A classifier's label names, in the order of its head.

Used of transformers (5.3 to 5.24): `id2label`, whose keys are the head's places; a configuration written by hand may
have them in any order.
"""

from collections.abc import Sequence
from typing import Any


def class_names(config: Any) -> tuple[str, ...]:
    """Return the label names in the order of the head, by their numbers."""
    named = {int(number): str(name) for number, name in (config.id2label or {}).items()}
    return tuple(named.get(number, f"LABEL_{number}") for number in range(config.num_labels))


def own_classes(config: Any) -> tuple[str, ...]:
    """Return the label names of a configuration whose model has a classification head, () of one that has none."""
    trained = any("ForSequenceClassification" in name for name in config.architectures or ())
    return class_names(config) if trained else ()


def name_classes(config: Any, labels: Sequence[str]) -> Any:
    """Return the configuration with a head for these labels, in this order."""
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    return config
