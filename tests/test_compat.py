"""How programs come to import gearcore's modules in the place of other libraries."""

import subprocess
import sys

import pytest

from gearcore.compat import install

INSTALLED = """
from gearcore.compat import install
install("gearman")
install("gearman")
"""


def run(*words, cwd=None):
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=cwd, timeout=60)
    return done.returncode, done.stdout, done.stderr


def python(program, cwd):
    status, out, err = run("-P", "-c", program, cwd=cwd)
    assert status == 0, err
    return out.split()


def test_modules_are_the_same_by_both_names(tmp_path):
    program = """
import gearman, sys
import gearman.constants
from gearman.errors import ServerUnavailable
from gearman import worker
import gearcore.compat.gearman as ours
import gearcore.compat.gearman.errors as errors
print(gearman is ours, gearman.constants is ours.constants, worker is ours.worker)
print(ServerUnavailable is errors.ServerUnavailable, sys.modules["gearman.errors"] is errors)
print(gearman.__spec__.name, gearman.__name__)
try:
    import gearman.nothing
except ModuleNotFoundError as error:
    print(error.name)
"""
    names = ["gearcore.compat.gearman"] * 2
    assert python(INSTALLED + program, tmp_path) == [*["True"] * 5, *names, "gearman.nothing"]


def test_it_goes_before_a_library_that_is_installed(tmp_path):
    (tmp_path / "gearman.py").write_text("print('the other')")
    program = "import sys; sys.path.insert(0, '.')" + INSTALLED + "import gearman; print(gearman.__name__)"
    assert python(program, tmp_path) == ["gearcore.compat.gearman"]


def test_it_comes_too_late_for_a_library_that_was_imported(tmp_path):
    (tmp_path / "gearman.py").write_text("")
    program = """
import sys; sys.path.insert(0, '.')
import gearman
from gearcore.compat import install
try:
    install("gearman")
except RuntimeError as error:
    print("gearman.py" in str(error))
"""
    assert python(program, tmp_path) == ["True"]


def test_nothing_else_is_found(tmp_path):
    program = INSTALLED + "import gearmandous"
    status, _, err = run("-P", "-c", program, cwd=tmp_path)
    assert status == 1
    assert "No module named 'gearmandous'" in err


def test_there_is_no_other_name():
    with pytest.raises(ValueError, match="gearman and gear, not of 'celery'"):
        install("celery")


SCRIPT = """
import sys
import beside
import gearman
print(__name__, __file__ == sys.argv[0], sys.argv[1:], gearman.__version__, beside.NAME)
"""


def test_a_script_runs_as_if_by_itself(tmp_path):
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "script.py").write_text(SCRIPT)
    (scripts / "beside.py").write_text("NAME = 'beside'")
    words = ["-m", "gearcore.compat", "gearman", str(scripts / "script.py"), "--option", "word"]
    assert run(*words, cwd=tmp_path) == (0, "__main__ True ['--option', 'word'] 2.0.2 beside\n", "")
    (scripts / "script.py").write_text("raise SystemExit(7)")
    assert run(*words, cwd=tmp_path)[0] == 7
    (scripts / "script.py").write_text("import sys, os; sys.exit(os.getcwd() in sys.path)")
    assert run("-P", *words, cwd=tmp_path)[0] == 0


def test_a_module_runs_as_if_by_itself(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text(SCRIPT.replace("import beside", "from . import beside"))
    (tmp_path / "package" / "beside.py").write_text("NAME = 'beside'")
    words = ["-m", "gearcore.compat", "gearman", "-m", "package", "word"]
    assert run(*words, cwd=tmp_path) == (0, "__main__ True ['word'] 2.0.2 beside\n", "")
    assert run("-P", *words, cwd=tmp_path)[2] == "No module named 'package'\n"


def test_a_command_of_the_library_runs_by_its_name(tmp_path):
    words = ["gear", "-m", "gear.cmd.geard", "--version"]
    status, out, err = run("-m", "gearcore.compat", *words, cwd=tmp_path)
    assert (status, out.partition(" of ")[0], err) == (0, "geard", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "usage: python -m gearcore.compat {gearman,gear} {SCRIPT|-m MODULE} [ARGUMENT ...]"),
        (["gearman"], "usage: "),
        (["gear", "-m"], "usage: "),
        (["gear", "-m", "gear.cmd.nothing"], "No module named 'gear.cmd.nothing'"),
        (["gear", "-m", "nothing.at.all"], "No module named 'nothing'"),
        (["gear", "-m", "gear"], "No module named 'gear.__main__'"),
        (["celery", "script.py"], "not of 'celery'"),
        (["gearman", "nowhere.py"], "there is no file nowhere.py"),
    ],
)
def test_what_cannot_be_run(tmp_path, words, said):
    status, out, err = run("-m", "gearcore.compat", *words, cwd=tmp_path)
    assert (status, out) == (1, "")
    assert said in err
    assert "Traceback" not in err
