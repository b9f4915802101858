"""Memory kept between steps."""

import subprocess
import sys


def test_kept_memory_is_not_taken_from_the_system_again():
    """In a process of its own, for the setting cannot be undone."""
    code = """
import resource, torch
from unrolled.learn.allocator import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        blocks = [torch.zeros(1 << 20) for _ in range(4)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
torch.set_num_threads(1)
faults()
known = keep_freed_memory()
faults()
assert not known or faults() < 100, faults()
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
