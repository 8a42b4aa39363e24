import re
from pathlib import Path

import jax
import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("index", range(len(EXAMPLES)))
def test_examples_run_as_they_stand(index, capsys):
    with jax.debug_key_reuse(False):  # read like a script, an example may use a key twice on purpose
        exec(EXAMPLES[index], {})
    assert capsys.readouterr().out


def test_every_picture_and_file_it_names_exists():
    for path in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (Path(__file__).parents[2] / path).exists(), path
