"""Writes `docs/compatibility.md` from `finbench/window.yaml`: `python docs/make_compatibility.py`.

With `--check` nothing is written, and it ends with 1 where the page is not that of the window.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from finbench.doctor.window import libraries, refused, tried  # noqa: E402

PAGE = ROOT / "docs" / "compatibility.md"
TEXT = """# Which releases finbench works with

Made from `finbench/window.yaml`, which `finbench doctor` and the tests read; `python docs/make_compatibility.py` writes
this page. Both ends were last run on {tried}: `tox` runs the newest releases that pip resolves, `tox -e oldest` the
floors, by the constraints in `tests/oldest.txt`.

| library | oldest | newest tried | why not older |
|---|---|---|---|
{window}

A release that is newer than the newest tried is not shut out: finbench finds by trial what it needs of a library, and
where a trial fails it scores and trains at the stock speed and says so, in the log, in the cell and on the board
(`finbench run --strict` fails instead). `finbench doctor` says in seconds which fast paths work with what is installed.

## What older releases in the window cannot do

It is refused by name there.

| what | refused with | use instead |
|---|---|---|
{refused}

## Not supported

- transformers before 5.3: published advisories say that loading a model can run foreign code.
- lm-eval before 0.4.12: it reads functions of tasks from files beside the YAML alone.
- The start-up hook needs an install into the environment (`pip install`), since a `.pth` file does its work there.
"""


def page() -> str:
    """Return the page as the window has it now."""
    window = "\n".join(f"| {one.name} | {one.floor} | {one.newest} | {one.why} |" for one in libraries())
    lost = "\n".join(f"| {one.what} | {one.library} below {one.below} | {one.instead} |" for one in refused())
    return TEXT.format(tried=tried(), window=window, refused=lost)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        if PAGE.read_text(encoding="utf-8") != page():
            sys.exit(f"{PAGE.name} is not that of window.yaml: run `python docs/make_compatibility.py`.")
    else:
        PAGE.write_text(page(), encoding="utf-8")
