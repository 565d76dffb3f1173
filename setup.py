"""The extension modules; everything else is in pyproject.toml."""

import sys

from Cython.Build import cythonize
from setuptools import Extension, setup

MODULES = [
    "_codec",
    "_broker",
    "_requests",
    "_submissions",
    "_session",
    "_accelerate",
    "_accelerate_aiogear",
    "_accelerate_gear",
    "_accelerate_gearman",
]
if sys.platform == "linux":
    MODULES.append("_direct")  # it stands on epoll

OPTIMISE = ["/O2"] if sys.platform == "win32" else ["-O3"]

setup(
    ext_modules=cythonize(
        [
            Extension(f"gearcore.{name}", [f"src/gearcore/{name}.pyx"], extra_compile_args=OPTIMISE)
            for name in MODULES
        ],
        include_path=["src"],
        build_dir="build/cython",
        compiler_directives={
            "language_level": "3",
            "auto_pickle": False,
            "autotestdict": False,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
        },
    )
)
