"""A type of adapter that PEFT does not have, entered where PEFT looks for types.

Used of PEFT (0.18 to 0.21): the three tables of `peft.mapping`, and its enumeration `PeftType`, which takes no members
from outside. Until 0.20 saving and loading ask whether a type is among its members, so ours becomes one; where that
cannot be, training with the type ends in PEFT's "Unknown PEFT type passed".
"""

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
