"""The extension modules; everything else is in pyproject.toml.

GEARCORE_BUILD in the environment makes them for other things than development: "release" leaves out what a
debugger needs, which has paths of the machine; "trace" is for .ci/coverage, "sanitize" for .ci/sanitize.
"""

import os
import sys

from Cython.Build import cythonize
from setuptools import Extension, setup

MODULES = [
    "_codec",
    "_broker",
    "_requests",
    "_submissions",
    "_session",
    "_keeper",
    "_ledger",
    "_accelerate",
    "_accelerate_aiogear",
    "_accelerate_gear",
    "_accelerate_gearman",
]
if sys.platform == "linux":
    MODULES.append("_direct")  # it stands on epoll

KIND = os.environ.get("GEARCORE_BUILD", "")
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
COMPILE = {
    "": ["/O2"] if sys.platform == "win32" else ["-O3"],
    "release": ["-O3", "-g0"],
    "trace": ["-O1"],
    "sanitize": ["-O1", "-g", "-fno-omit-frame-pointer", *SANITIZERS],
}[KIND]
LINK = {"release": ["-Wl,--strip-all"], "sanitize": SANITIZERS}.get(KIND, [])
# From Python 3.13 on coverage would not hear of lines by sys.monitoring.
TRACE = [("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")] if KIND == "trace" else []

setup(
    ext_modules=cythonize(
        [
            Extension(
                f"gearcore.{name}",
                [f"src/gearcore/{name}.pyx"],
                define_macros=TRACE,
                extra_compile_args=COMPILE,
                extra_link_args=LINK,
            )
            for name in MODULES
        ],
        include_path=["src"],
        # Coverage looks for the C beside its source.
        build_dir=None if KIND == "trace" else "build/cython",
        compiler_directives={
            "language_level": "3",
            "auto_pickle": False,
            "autotestdict": False,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "linetrace": KIND == "trace",
        },
    )
)
