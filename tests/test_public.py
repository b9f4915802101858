"""The public face: names, what their import costs, and that layers point down."""

import subprocess
import sys
from importlib import import_module

import pytest

import unrolled
from unrolled.cli.app import COMMANDS, LOOK_COMMANDS, main


def test_every_public_name_is_there_and_documented():
    for name in unrolled.__all__:
        value = getattr(unrolled, name)
        assert name.startswith("__") or value.__doc__, name
    assert set(unrolled.__all__) <= set(dir(unrolled))


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        unrolled.trian  # noqa: B018


WITHOUT_TORCH = [
    "import unrolled; unrolled.CharModel; unrolled.EmbeddingTable; unrolled.Recipe",
    "import unrolled.text.encoded, unrolled.text.report.doctor, unrolled.text.windows",
    "import unrolled.model.char_model, unrolled.lesson",
    "from unrolled.cli import main; main(['--help'])",
    "from unrolled.cli import main; main(['train', '--help'])",
    "from unrolled.cli import main; main(['next', '--help'])",
    "from unrolled.cli import main; main(['compare', '--help'])",
    "from unrolled.cli import main; main(['serve', '--help'])",
    "import unrolled.serve.server",
    "from unrolled.cli import main; main(['look', 'memory', '--help'])",
]


def test_these_need_no_torch():
    """In one process, in this order; the error names the first that has loaded it."""
    check = (
        f"import sys\nfor code in {WITHOUT_TORCH!r}:\n    exec(code)\n"
        "    assert 'torch' not in sys.modules and 'sklearn' not in sys.modules, code"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [*COMMANDS, *(f"look {name}" for name in LOOK_COMMANDS)])
def test_every_command_has_help_with_an_example(name, capsys):
    assert main([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Example:" in shown
    assert f"unrolled {name}" in " ".join(shown.split())


@pytest.mark.parametrize("command", [*COMMANDS.values(), *LOOK_COMMANDS.values()])
def test_every_command_is_where_the_table_says(command):
    module, function = command.target.split(":")
    assert callable(getattr(import_module(f"unrolled.cli.{module}"), function))


def test_wrong_usage_is_2_and_a_bad_file_is_1(capsys, tmp_path):
    assert main(["trian"]) == 2
    assert "Did you mean" in capsys.readouterr().err
    assert main(["next", str(tmp_path / "nothing"), "a"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("unrolled: ")
    assert said.count("\n") == 1


def test_python_dash_m_is_the_command():
    shown = subprocess.run([sys.executable, "-m", "unrolled", "--version"], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == unrolled.__version__
