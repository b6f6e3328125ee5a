"""The way in where the interpreter is an image's own: what the agent needs is found last, after all the image has.

`python -m remote_runtime.agent.boot FOLDER MODULE ARGUMENTS...` runs a module as `python -m` would, with the packages
of a folder at the end of its path. So nothing the image pins is replaced, and programs that cells start see the image
as it is.
"""

from __future__ import annotations

import runpy
import site
import sys


def main() -> None:
    """Add the folder and run the module."""
    folder, module = sys.argv[1:3]
    del sys.argv[1:3]
    site.addsitedir(folder)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
