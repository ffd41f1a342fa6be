"""Start-up hook: makes plain `lm_eval` see our tasks and model types, and PEFT our adapter type.

A `.pth` file imports this module at interpreter start, so it does nothing but put one finder in front of
`sys.meta_path`. The finder waits for a few modules by name and changes each right after it is loaded; every other
import costs one dictionary look-up. `FINBENCH_AUTOLOAD=0` switches all of it off.
"""

import sys

MODEL_TYPES = {
    "hf-fast": "finbench.models.fast:FastLM",
    "hf-classifier": "finbench.models.classifier:ClassifierLM",
}


def _warn(what, error):
    """Say in one line what could not be extended; the program goes on without finbench."""
    why = " ".join(f"{type(error).__name__}: {error}".split())
    sys.stderr.write(
        f"finbench: {what} could not be extended ({why}); finbench's tasks and models are not available here. "
        "FINBENCH_AUTOLOAD=0 silences this, installing it again from its checkout mends a broken copy.\n"
    )


def _add_tasks(module):
    """Let every `TaskManager` that knows lm-eval's own tasks know ours too; the user's own paths still win."""
    from functools import wraps
    from inspect import signature

    manager = module.TaskManager
    original = manager.__init__
    takes = signature(original)
    if "include_path" not in takes.parameters:
        raise TypeError("its TaskManager takes no include_path")

    @wraps(original)
    def init(self, *args, **kwargs):
        try:
            given = takes.bind(self, *args, **kwargs)
        except TypeError:  # theirs to say
            return original(self, *args, **kwargs)
        if not given.arguments.get("include_defaults", True):
            return original(self, *args, **kwargs)
        try:
            _start(self, manager, original, given)
        except Exception as error:  # in us, or in a folder of ours: lm-eval goes on without it
            _warn(module.__name__, error)
            original(self, *args, **kwargs)

    manager.__init__ = init


def _start(self, manager, original, given):
    """Initialise a task manager with our folders before those that were given."""
    from finbench.paths import task_folders

    theirs = given.arguments.get("include_path")
    theirs = theirs if isinstance(theirs, (list, tuple)) else [theirs] if theirs else []
    given.arguments["include_path"] = [*task_folders(), *theirs]
    if type(self) is not manager or not _can_wait(self, original, given):
        original(*given.args, **given.kwargs)


def _can_wait(self, original, given):
    """Start a task manager that reads lm-eval's own YAMLs when they are asked for; say whether that was possible."""
    parameters = given.signature.parameters.values()
    if "include_defaults" not in given.signature.parameters or any(one.kind not in (1, 3) for one in parameters):
        return False  # not all can be passed by name
    try:
        from finbench.tasks.lazy_index import start

        return start(self, original, dict(list(given.arguments.items())[1:]))
    except Exception:  # whatever it is, what reads everything at once says it better
        return False


def _add_tasks_of_package(module):
    """Do the same where the class stands in the package itself, as in lm-eval to 0.4.11."""
    if getattr(getattr(module, "TaskManager", None), "__module__", "") == "lm_eval.tasks":
        _add_tasks(module)


def _add_models(module):
    """Enter our model types as lazy names: their modules are imported when `--model` asks for them."""
    from lm_eval.api.registry import model_registry

    for name, target in MODEL_TYPES.items():
        if name not in model_registry:
            model_registry.register(name, target=target)


def _add_adapter_types(module):
    """Teach PEFT our types, so that `peft=` loads such an adapter."""
    import finbench.adapters.bottleneck.model
    import finbench.adapters.combined.model  # noqa: F401  (both register themselves)


def _connect_adapters(module):
    """Let virtual tokens reach what lm-eval's `hf` generates with, under the base's own name for its cache."""
    from functools import wraps

    original = module.HFLM.__init__

    @wraps(original)
    def init(self, *args, **kwargs):
        original(self, *args, **kwargs)
        if hasattr(getattr(self, "_model", None), "get_base_model"):
            _connect(self._model)

    module.HFLM.__init__ = init


def _connect(model):
    try:
        from finbench.errors import FinbenchError
        from finbench.hf.prompts import connect
    except Exception as error:  # a broken finbench must not break an adapter that needs nothing of it
        return _warn("an adapter", error)
    try:
        connect(model)
    except FinbenchError:  # a refusal: the adapter would not act
        raise
    except Exception as error:
        _warn("an adapter", error)


HOOKS = {
    "lm_eval.models.huggingface": _connect_adapters,
    "lm_eval.tasks": _add_tasks_of_package,
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
        if getattr(module, "__name__", name) != name:  # a loader may serve several modules
            return
        hook = HOOKS.pop(name, None)
        try:
            if hook is not None:
                hook(module)
        except Exception as error:  # a version that does not fit must not break the program that imports it
            _warn(name, error)

    try:
        loader.exec_module = exec_module
    except AttributeError as error:  # a loader that takes no attributes
        _warn(name, error)


def install() -> None:
    """Put the finder in front, once."""
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


install()
