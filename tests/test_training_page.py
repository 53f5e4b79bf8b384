"""The programs of docs/training.md run, each by itself: Lightning starts its program anew."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
if not torch.distributed.is_available():
    pytest.skip("this torch has no distributed package", allow_module_level=True)


@pytest.mark.parametrize(
    ("number", "title", "host"),
    [(0, "import torch", None), (1, "Accelerator", "accelerate"), (2, "Callback", "lightning"),
     (3, "fully_shard", None), (4, "gcodec.Channel", None)],
)  # fmt: skip
def test_the_code_of_the_page_runs(tmp_path, number, title, host):
    page = (Path(__file__).parent.parent / "docs" / "training.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 5 and title in blocks[number]
    if host and not find_spec(host):
        pytest.skip(f"{host} is not installed")
    alone = f'"gloo", init_method="file://{tmp_path}/meet", rank=0, world_size=1'
    script = tmp_path / "page.py"
    script.write_text(blocks[number].replace('init_process_group("gloo"', f"init_process_group({alone}"))
    subprocess.run([sys.executable, script], check=True, timeout=300, cwd=tmp_path)
