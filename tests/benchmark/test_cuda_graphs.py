"""What XLA writes of a program's CUDA graphs is counted as it stands there."""

import json
import sys

from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import cuda_graphs

SEQUENCE = """\
000: kCommandBuffer [source       | next=035 (1)]
    001: kCopy         [source       | next=002 (1)] kCopy
    002: kCustomKernel [prev=001 (1) | sink        ] loop_add_fusion_37 grid: [1, 1, 1] threads: [1, 1, 1]
035: kWhile         [prev=000 (1) | next=000 (1)]
  condition:
    036: kCustomKernel [source | sink] loop_compare_fusion_1 grid: [1, 1, 1] threads: [1, 1, 1]
  body:
    000: kCommandBuffer [source        | next=060 (1) ]
        037: kCustomKernel [source       | next=038 (1)] loop_add_fusion_35 grid: [1, 1, 1]
    060: kConvolution   [prev=000 (1) | sink        ] kConvolution
"""


def test_what_lies_in_graphs_and_what_interrupts_them():
    assert cuda_graphs.read_sequence(SEQUENCE) == {
        "graphs": 2,
        "inside": {"CustomKernel": 2, "Copy": 1},
        "outside": {"While": 1, "CustomKernel": 1, "Convolution": 1},
    }


def test_the_page_has_what_is_recorded():
    counts = json.loads((ROOT / "benchmarks" / "results" / "cuda-graphs.json").read_text(encoding="utf-8"))["counts"]
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    found = page.partition("<!-- cuda-graphs -->\n")[2].partition("<!-- /cuda-graphs -->")[0]
    assert found == cuda_graphs.table(counts) and "wgan56 on 1 x h100" in found
