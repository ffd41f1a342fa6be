"""How a task's prompts are made beside its own template: shots, the base's chat template, a system instruction.

Training, validation, runs and prediction ask here, so that what was trained on is what is scored.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from finbench.errors import FinbenchError


@dataclass(frozen=True)
class Prompting:
    """What may differ from a task's YAML.

    `num_fewshot` takes the place of the task's own number of shots (None: it stays; a task that has none keeps none, as
    in lm-eval). With `chat_template` shots and question are turns of a conversation, as `lm_eval --apply_chat_template`
    has it, and `system_instruction` opens it.
    """

    num_fewshot: int | None = None
    chat_template: bool = False
    system_instruction: str = ""

    def shots(self, task: Any) -> int:
        """Return the number of shots of a task's prompts."""
        own = int(task.config.num_fewshot or 0)
        return own if self.num_fewshot is None or own == 0 else self.num_fewshot

    def context(self, task: Any, doc: Any, lm: Any) -> str:
        """Return a row's prompt; `lm` is asked for its chat template where there is to be one.

        Raises:
            FinbenchError: its tokenizer has none, or the task has not as many shots.

        """
        shots, offered = self.shots(task), len(task.fewshot_docs() or ())
        if shots > offered > 0 and task.config.fewshot_config and task.fewshot_cfg.sampler == "first_n":
            raise FinbenchError(f"num_fewshot is {shots}; {task.task_name} has {offered} shots of train to give.")
        return str(task.fewshot_context(doc, shots, **self._chat(lm)))

    def requests(self, task: Any, doc: Any, number: int, lm: Any) -> list[Any]:
        """Return lm-eval's requests about a row, the `number`th."""
        made = task.construct_requests(
            doc,
            self.context(task, doc, lm),
            doc_id=number,
            metadata=(task.task_name, number, 1),
            apply_chat_template=self.chat_template,
        )
        return made if isinstance(made, list) else [made]

    def delimiter(self, task: Any) -> str:
        """Return what stands between a prompt and its answer: in a conversation the template's own."""
        return "" if self.chat_template else str(task.config.target_delimiter)

    def words(self, task: Any) -> list[str]:
        """Return what differs from the task's YAML, for people and for a hash; [] where nothing does."""
        shots = self.shots(task)
        said = {**asdict(self), "num_fewshot": shots if shots != int(task.config.num_fewshot or 0) else None}
        return [f"{name}={value!r}" for name, value in said.items() if value not in (None, "") and value is not False]

    def _chat(self, lm: Any) -> Mapping[str, Any]:
        system = {"system_instruction": self.system_instruction} if self.system_instruction else {}
        if not self.chat_template or not getattr(lm, "reads_prompts", True):
            return system
        if not getattr(lm.tokenizer, "chat_template", None):
            raise FinbenchError("chat_template is true, and the base's tokenizer has no chat template: leave it out.")
        return {
            **system,
            "apply_chat_template": True,
            "fewshot_as_multiturn": True,
            "chat_template": lm.apply_chat_template,
        }


PLAIN = Prompting()


@dataclass(frozen=True)
class Chat:
    """What a prompt needs of a model: its tokenizer alone."""

    tokenizer: Any

    def apply_chat_template(self, turns: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Return a conversation as the model reads it, as lm-eval's `hf` does."""
        from jinja2 import TemplateError

        options = {"add_generation_prompt": add_generation_prompt, "continue_final_message": not add_generation_prompt}
        try:
            text: str = self.tokenizer.apply_chat_template(turns, tokenize=False, **options)
        except TemplateError:  # a template without a system role
            others = [turn for turn in turns if turn["role"] != "system"]
            text = self.tokenizer.apply_chat_template(others, tokenize=False, **options)
        return text
