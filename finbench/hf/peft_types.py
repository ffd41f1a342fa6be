"""The types of adapters that the installed PEFT knows, and one that it does not have, entered where it looks for types.

Used of PEFT (0.18 to 0.21): the three tables of `peft.mapping`, and its enumeration `PeftType`, which takes no members
from outside. Until 0.20 saving and loading ask whether a type is among its members, so ours becomes one; where that
cannot be, training with the type ends in PEFT's "Unknown PEFT type passed".
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from peft import PeftType
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING


def enter(name: str, config: Any, tuner: Any) -> None:
    """Let PEFT know a type by its name, its configuration's class and its tuner's, once or often."""
    if name not in PeftType.__members__:
        member = str.__new__(PeftType, name)
        member._name_ = member._value_ = name
        PeftType._member_map_[name] = PeftType._value2member_map_[name] = member
        PeftType._member_names_.append(name)
    PEFT_TYPE_TO_CONFIG_MAPPING[name] = config
    PEFT_TYPE_TO_TUNER_MAPPING[name] = tuner
    PEFT_TYPE_TO_PREFIX_MAPPING[name] = tuner.prefix


def unknown_to_peft(settings: Mapping[str, Any]) -> list[str]:
    """Return what an adapter's configuration says that this PEFT does not know: its type, or settings that are set.

    PEFT leaves such settings out with a warning, and the adapter computes something else.
    """
    kind = settings.get("peft_type")
    config = PEFT_TYPE_TO_CONFIG_MAPPING.get(kind)
    if config is None:
        return [f"peft_type {kind}"]
    known = {one.name for one in fields(config)}
    return [f"{name} {value!r}" for name, value in settings.items() if value and name not in known]
