"""Kernels, bytes, products and exchanges are counted as a device would do them."""

import jax
import jax.numpy as jnp
import pytest

from logogan_jax.plan import costs, hlo, products

GPU = """HloModule jit_step, is_scheduled=true

%fused_gather (images: u8[1000,4,4,3], index: s32[2]) -> f32[2,4,4,3] {
  %images = u8[1000,4,4,3]{3,2,1,0} parameter(0)
  %index = s32[2]{0} parameter(1)
  %gathered = u8[2,4,4,3]{3,2,1,0} gather(%images, %index), offset_dims={1,2,3}
  ROOT %converted = f32[2,4,4,3]{3,2,1,0} convert(%gathered)
}

%fused_update (whole: f32[100,8], row: f32[8], at: s32[]) -> f32[100,8] {
  %whole = f32[100,8]{1,0} parameter(0)
  %row = f32[8]{0} parameter(1)
  %at = s32[] parameter(2)
  %shaped = f32[1,8]{1,0} bitcast(%row)
  %zero = s32[] constant(0)
  ROOT %updated = f32[100,8]{1,0} dynamic-update-slice(%whole, %shaped, %at, %zero)
}

%fused_dot (a: bf16[16,32], b: bf16[32,8]) -> f32[16,8] {
  %a = bf16[16,32]{1,0} parameter(0)
  %b = bf16[32,8]{1,0} parameter(1)
  ROOT %dot.1 = f32[16,8]{1,0} dot(%a, %b), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

%body (carry: (s32[], f32[100,8])) -> (s32[], f32[100,8]) {
  %carry = (s32[], f32[100,8]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%carry), index=0
  %x = f32[100,8]{1,0} get-tuple-element(%carry), index=1
  %copy.1 = f32[100,8]{1,0} copy(%x)
  %sum-start = f32[100,8]{1,0} all-reduce-start(%copy.1), replica_groups={{0,1}}, to_apply=%add
  %loop_multiply_fusion.3 = f32[100,8]{1,0} multiply(%x, %x)
  %sum-done = f32[100,8]{1,0} all-reduce-done(%sum-start)
  ROOT %next = (s32[], f32[100,8]{1,0}) tuple(%i, %sum-done)
}

%condition (carry: (s32[], f32[100,8])) -> pred[] {
  %carry.1 = (s32[], f32[100,8]{1,0}) parameter(0)
  %i.1 = s32[] get-tuple-element(%carry.1), index=0
  %limit = s32[] constant(5)
  ROOT %less = pred[] compare(%i.1, %limit), direction=LT
}

ENTRY %main (images.1: u8[1000,4,4,3], index.1: s32[2], x.1: f32[100,8]) -> f32[100,8] {
  %images.1 = u8[1000,4,4,3]{3,2,1,0} parameter(0)
  %index.1 = s32[2]{0} parameter(1)
  %x.1 = f32[100,8]{1,0} parameter(2)
  %row.1 = f32[8]{0} constant({...})
  %a.1 = bf16[16,32]{1,0} constant({...})
  %b.1 = bf16[32,8]{1,0} constant({...})
  %input_gather_fusion.1 = f32[2,4,4,3]{3,2,1,0} fusion(%images.1, %index.1), kind=kLoop, calls=%fused_gather
  %filter = f32[3,3,3,16]{3,2,1,0} constant({...})
  %conv = (f32[2,4,4,16]{3,2,1,0}, u8[4096]{0}) custom-call(%input_gather_fusion.1, %filter), window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_01io->b01f, custom_call_target="__cudnn$convForward"
  %activations = f32[2,4,4,16]{3,2,1,0} get-tuple-element(%conv), index=0
  %backward = (f32[3,3,3,16]{3,2,1,0}, u8[64]{0}) custom-call(%input_gather_fusion.1, %activations), dim_labels=b01f_01io->b01f, custom_call_target="__cudnn$convBackwardFilter"
  %gemm_fusion_dot.2 = f32[16,8]{1,0} fusion(%a.1, %b.1), kind=kCustom, calls=%fused_dot
  %at.1 = s32[] constant(7)
  %updated.1 = f32[100,8]{1,0} fusion(%x.1, %row.1, %at.1), kind=kLoop, calls=%fused_update
  %start = (s32[], f32[100,8]{1,0}) tuple(%at.1, %updated.1)
  %loop = (s32[], f32[100,8]{1,0}) while(%start), condition=%condition, body=%body
  %callback = () custom-call(%at.1), custom_call_target="xla_ffi_python_gpu_callback"
  ROOT %out = f32[100,8]{1,0} get-tuple-element(%loop), index=1
}
"""  # noqa: E501 - as XLA writes it


@pytest.fixture(scope="module")
def kernels():
    return {kernel.name: kernel for kernel in costs.kernels(hlo.parse(GPU))}


def test_of_gathered_images_only_the_batch_is_read(kernels):
    batch = 2 * 4 * 4 * 3
    assert kernels["input_gather_fusion.1"].nbytes == batch + 2 * 4 + 4 * batch


def test_of_an_array_updated_in_place_only_the_slice_is_written(kernels):
    assert kernels["updated.1"].nbytes == 8 * 4 + 8 * 4 + 4  # written, read, and where


def test_a_convolution_of_a_library_has_its_operations_and_not_its_workspace(kernels):
    images, filters, activations = 2 * 4 * 4 * 3 * 4, 3 * 3 * 3 * 16 * 4, 2 * 4 * 4 * 16 * 4
    assert kernels["conv"].nbytes == images + filters + activations
    flops = 2 * (3 * 3 * 3 * 16) * (2 * 4 * 4 * 16) // 16
    assert kernels["conv"].flops == kernels["backward"].flops == flops
    assert kernels["conv"].kind == "__cudnn$convForward"


def test_a_product_inside_of_a_fusion_is_counted_with_its_dtype(kernels):
    assert kernels["gemm_fusion_dot.2"].flops == 2 * 16 * 8 * 32
    assert kernels["gemm_fusion_dot.2"].dtype == "bf16"
    assert kernels["gemm_fusion_dot.2"].kind == "gemm_fusion_dot"


def test_the_body_of_a_loop_counts_as_often_as_its_condition_says(kernels):
    assert {name: kernel.runs for name, kernel in kernels.items() if kernel.runs != 1} == {
        "copy.1": 5, "sum-start": 5, "loop_multiply_fusion.3": 5, "sum-done": 0,
    }  # fmt: skip
    assert kernels["sum-start"].exchanged_bytes == 100 * 8 * 4
    assert kernels["sum-start"].end == "sum-done"


def test_a_scattered_sum_and_a_gathering_are_each_half_of_an_all_reduce():
    text = """
ENTRY %main (x.1: f32[64,8]) -> f32[64,8] {
  %x.1 = f32[64,8]{1,0} parameter(0)
  %part = f32[8,8]{1,0} reduce-scatter(%x.1), dimensions={0}, to_apply=%add
  %start = (f32[8,8]{1,0}, f32[64,8]{1,0}) all-gather-start(%part), dimensions={0}
  ROOT %whole = f32[64,8]{1,0} all-gather-done(%start)
}
"""
    found = {kernel.name: kernel for kernel in costs.kernels(hlo.parse(text))}
    assert found["part"].exchanged_bytes == found["start"].exchanged_bytes == 64 * 8 * 4 / 2
    assert found["start"].end == "whole"


def test_what_devices_exchange_counts_where_it_lies_in_the_memory_of_the_chip_too():
    text = """
ENTRY %main (x.1: f32[64,8]) -> f32[64,8] {
  %x.1 = f32[64,8]{1,0:T(8,128)} parameter(0)
  %near = f32[64,8]{1,0:T(8,128)S(1)} copy(%x.1)
  %sum = (f32[64,8]{1,0:T(8,128)S(1)}, f32[8]{0}) all-reduce(%near, %row), to_apply=%add
  ROOT %far = f32[64,8]{1,0:T(8,128)} get-tuple-element(%sum), index=0
}
"""
    found = {kernel.name: kernel for kernel in costs.kernels(hlo.parse(text))}
    assert found["sum"].exchanged_bytes == 64 * 8 * 4 + 8 * 4
    assert found["near"].nbytes == 64 * 8 * 4 and found["sum"].nbytes == 8 * 4  # of the main memory


TRANSFERS = """
ENTRY %main (x: f32[64,8], n: s32[]) -> f32[64,8] {
  %x = f32[64,8]{1,0:T(8,128)} parameter(0)
  %n = s32[]{:T(128)S(6)} parameter(1)
  %next = s32[]{:T(128)S(6)} add(%n, %n)
  %in = ((f32[64,8]{1,0:T(8,128)}), f32[16,8]{1,0:T(8,128)S(1)}, s32[]{:S(2)}) slice-start(%x), slice={[0:16], [0:8]}
  %whole = (f32[64,8]{1,0:T(8,128)S(1)}, f32[64,8]{1,0:T(8,128)}, u32[]{:S(2)}) copy-start(%x)
  %part = f32[16,8]{1,0:T(8,128)S(1)} slice-done(%in)
  %near = f32[64,8]{1,0:T(8,128)S(1)} copy-done(%whole)
  %parts = f32[16,8]{1,0:T(8,128)S(1)} custom-call(%part), custom_call_target="ConcatBitcast"
  %sum = f32[64,8]{1,0:T(8,128)S(1)} fusion(%near, %parts, %next), kind=kLoop, calls=%add
  %out = (f32[64,8]{1,0:T(8,128)}, f32[64,8]{1,0:T(8,128)S(1)}, u32[]{:S(2)}) copy-start(%sum)
  %far = f32[64,8]{1,0:T(8,128)} copy-done(%out)
  ROOT %twice = f32[64,8]{1,0:T(8,128)} copy(%far)
}

%add (a: f32[64,8], b: f32[16,8], n: s32[]) -> f32[64,8] {
  %a = f32[64,8]{1,0:T(8,128)S(1)} parameter(0)
  %b = f32[16,8]{1,0:T(8,128)S(1)} parameter(1)
  %i = s32[]{:T(128)S(6)} parameter(2)
  ROOT %sine = f32[64,8]{1,0:T(8,128)S(1)} sine(%a)
}
"""


def test_transfers_between_the_memories_of_a_tpu_move_what_they_carry_and_are_no_kernels():
    found = {kernel.name: kernel for kernel in costs.kernels(hlo.parse(TRANSFERS))}
    whole, part = 64 * 8 * 4, 16 * 8 * 4
    moved = {name: kernel.nbytes for name, kernel in found.items() if kernel.kind == costs.TRANSFER}
    assert moved == {"in": part, "whole": whole, "out": whole}
    assert [found[name].end for name in moved] == ["part", "near", "far"]
    counts = costs.count([*found.values()], 1)
    # Neither the sum of scalars nor what only names parts as one array.
    assert {name for name, kernel in found.items() if kernel.runs and kernel.kind != costs.TRANSFER} == {"sum", "twice"}
    assert (counts.kernels, counts.copies, counts.bytes) == (2, 1, part + 2 * whole + 2 * whole)


def test_a_transfer_within_the_main_memory_reads_and_writes():
    text = """
ENTRY %main (x: f32[64,8]) -> f32[64,8] {
  %x = f32[64,8]{1,0:T(8,128)} parameter(0)
  %start = (f32[64,8]{0,1:T(8,128)}, f32[64,8]{1,0:T(8,128)}, u32[]{:S(2)}) copy-start(%x)
  ROOT %done = f32[64,8]{0,1:T(8,128)} copy-done(%start)
}
"""
    assert [kernel.nbytes for kernel in costs.kernels(hlo.parse(text))] == [2 * 64 * 8 * 4, 0]


# One product with 64 x 64 numbers at 56 x 56 places, a transposed convolution of stride two, and a filter's gradient.
CONVOLUTIONS = [
    ((64, 64, 1, 1), (8, 56, 56, 64), (8, 56, 56, 64), "bf01_o01i->f01b", 2 * 8 * 56 * 56 * 64 * 64),
    ((8, 14, 14, 32), (4, 4, 16, 32), (8, 28, 28, 16), "b01f_01oi->b01f", 2 * 8 * 14 * 14 * 32 * 16 * 4 * 4),
    ((8, 28, 28, 16), (8, 14, 14, 32), (4, 4, 16, 32), "f01b_i01o->01bf", 2 * 8 * 14 * 14 * 32 * 16 * 4 * 4),
    ((8, 28, 28, 16), (3, 3, 16, 32), (8, 28, 28, 32), "b01f_01io->b01f", 2 * 8 * 28 * 28 * 32 * 16 * 3 * 3),
]


@pytest.mark.parametrize(("image", "filters", "result", "labels", "flops"), CONVOLUTIONS)
def test_products_with_zeros_around_and_between_an_image_s_rows_are_none(image, filters, result, labels, flops):
    shape = lambda sides: f"bf16[{','.join(map(str, sides))}]{{3,2,1,0}}"
    text = f"""
ENTRY %main (image: {shape(image)}) -> {shape(result)} {{
  %image = {shape(image)} parameter(0)
  %filters = {shape(filters)} parameter(1)
  ROOT %out = {shape(result)} convolution(%image, %filters), window={{}}, dim_labels={labels}
}}
"""
    assert [kernel.flops for kernel in costs.kernels(hlo.parse(text))] == [flops]


def test_a_step_is_a_share_of_its_program():
    found = costs.kernels(hlo.parse(GPU))
    whole = costs.count(found, 1)
    assert whole.kernels == 6 + 3 * 5
    assert (whole.copies, whole.library_calls, whole.host_transfers, whole.collectives) == (5, 2, 1, 5)
    assert whole.exchanged_bytes == 5 * 3200
    with_products = [kernel for kernel in found if kernel.flops]
    assert 0 < len(with_products) < len(found)
    assert whole.product_bytes == sum(kernel.runs * kernel.nbytes for kernel in with_products) < whole.bytes
    assert costs.count(found, 2).exchanged_bytes == 8000


def test_products_of_programs_compiled_here_are_those_of_their_shapes():
    def both(x, w, image, filters):
        convolved = jax.lax.conv_general_dilated(
            image, filters, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return x @ w, convolved

    shapes = [jnp.ones(shape) for shape in ((64, 96), (96, 48), (2, 16, 16, 8), (3, 3, 8, 24))]
    program = hlo.parse(jax.jit(both).lower(*shapes).compile().as_text())
    found = [
        products.count(other, computation)[0]
        for computation in program.computations.values()
        for other in computation.values()
    ]
    assert sorted(flops for flops in found if flops) == [2 * 64 * 96 * 48, 2 * (3 * 3 * 8 * 24) * (2 * 16 * 16)]
