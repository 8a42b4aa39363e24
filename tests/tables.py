"""What tests of several modules use to write down their tables."""

import pytest


def slow_unless(names, *quick):
    """Parameters that only the complete tests try, unless they are among the quick ones."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]
