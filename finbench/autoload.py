"""Start-up hook: makes plain `lm_eval` see our tasks and model types, and PEFT our adapter type.

A `.pth` file imports this module at interpreter start, so it does nothing but put one finder in front of
`sys.meta_path`. The finder waits for three modules by name and changes each right after it is loaded; every other
import costs one dictionary look-up. `FINBENCH_AUTOLOAD=0` switches all of it off.
"""

import sys

MODEL_TYPES = {
    "hf-fast": "finbench.models.fast:FastLM",
    "hf-classifier": "finbench.models.classifier:ClassifierLM",
}


def _warn(what, error):
    """Say in one line that a library's version does not fit; the program goes on without finbench."""
    sys.stderr.write(
        f"finbench: {what} of this version could not be extended ({error}); "
        "finbench's tasks and models are not available here. FINBENCH_AUTOLOAD=0 silences this.\n"
    )


def _add_tasks(module):
    """Let every `TaskManager` that scans lm-eval's own tasks scan ours too; the user's own paths still win."""
    from functools import wraps

    original = module.TaskManager.__init__

    @wraps(original)
    def init(self, verbosity=None, include_path=None, include_defaults=True, metadata=None):
        if include_defaults:
            from finbench.paths import task_folders

            theirs = include_path if isinstance(include_path, (list, tuple)) else [include_path] if include_path else []
            include_path = [*task_folders(), *theirs]
        original(self, verbosity, include_path, include_defaults, metadata)

    module.TaskManager.__init__ = init


def _add_models(module):
    """Enter our model types as lazy names: their modules are imported when `--model` asks for them."""
    from lm_eval.api.registry import model_registry

    for name, target in MODEL_TYPES.items():
        if name not in model_registry:
            model_registry.register(name, target=target)


def _add_adapter_types(module):
    """Teach PEFT the bottleneck type, so that `peft=` loads such an adapter."""
    import finbench.adapters.bottleneck.model  # noqa: F401  (registers itself)


def _connect_adapters(module):
    """Let virtual tokens reach what lm-eval's `hf` generates with, under the base's own name for its cache."""
    from functools import wraps

    original = module.HFLM.__init__

    @wraps(original)
    def init(self, *args, **kwargs):
        original(self, *args, **kwargs)
        if hasattr(getattr(self, "_model", None), "get_base_model"):
            from finbench.hf.prompts import connect

            connect(self._model)

    module.HFLM.__init__ = init


HOOKS = {
    "lm_eval.models.huggingface": _connect_adapters,
    "lm_eval.tasks.manager": _add_tasks,
    "lm_eval.models": _add_models,
    "peft": _add_adapter_types,
}


class _Finder:
    """Finds the awaited modules by asking the other finders, and wraps their loader."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in HOOKS:
            return None
        for finder in sys.meta_path:
            if finder is _Finder or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                _run_after(spec, name)
                return spec
        return None


def _run_after(spec, name):
    """Make the spec's loader call the module's hook once it has executed it.

    A spec may be asked for and never executed (transformers looks for peft that way), so the hook stays until then.
    """
    loader = spec.loader
    execute = getattr(loader, "exec_module", None)
    if execute is None:
        return

    def exec_module(module):
        execute(module)
        hook = HOOKS.pop(name, None)
        try:
            if hook is not None:
                hook(module)
        except Exception as error:  # a version that does not fit must not break the program that imports it
            _warn(name, error)

    loader.exec_module = exec_module


def install() -> None:
    """Put the finder in front, once."""
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


install()
