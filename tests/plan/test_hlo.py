"""Optimised programs are read as XLA writes them."""

import jax
import jax.numpy as jnp
import pytest

from logogan_jax.plan import hlo

TPU = """HloModule jit_f, is_scheduled=true

%fused (param_0: bf16[8,128], param_1: f32[]) -> bf16[8,128] {
  %param_0 = bf16[8,128]{1,0:T(8,128)(2,1)} parameter(0)
  ROOT %multiply.1 = bf16[8,128]{1,0:T(8,128)(2,1)S(1)} multiply(%param_0, %param_0), metadata={op_name="a(b)"}
}

ENTRY %main.4 (p: bf16[8,128]) -> (bf16[8,128], /*index=1*/s32[2]) {
  %p = bf16[8,128]{1,0:T(8,128)(2,1)} parameter(0)
  %fusion = bf16[8,128]{1,0:T(8,128)(2,1)S(1)} fusion(%p), kind=kLoop, calls=%fused
  ROOT %both = (bf16[8,128]{1,0}, /*index=1*/s32[2]{0}) custom-call(bf16[8,128]{1,0} %fusion, %p), metadata={}
}
"""


def test_a_program_of_a_tpu_is_read_with_its_layouts_and_its_own_memory():
    program = hlo.parse(TPU)
    assert program.entry == "main.4" and set(program.computations) == {"fused", "main.4"}
    entry = program.computations["main.4"]
    assert entry["p"].opcode == "parameter" and entry["p"].nbytes == 8 * 128 * 2
    assert entry["fusion"].called("calls") == "fused" and entry["fusion"].operands == ["p"]
    assert entry["fusion"].nbytes == 0  # it lies in the chip's own memory
    assert entry["both"].operands == ["fusion", "p"]
    assert [array.shape for array in entry["both"].arrays] == [(8, 128), (2,)]
    assert entry["both"].nbytes == 2048 + 8


def test_the_memory_of_an_array_is_in_its_layout():
    text = """
ENTRY %main (a: f32[8]) -> f32[8] {
  %a = f32[8]{0:T(128)} parameter(0)
  %near = (f32[8]{0:T(128)S(1)}, u32[]{:S(2)}, s32[]{:T(128)S(6)}, f32[8]) custom-call(%a)
}
"""
    computation = hlo.parse(text).computations["main"]
    assert [array.space for array in computation["near"].arrays] == [1, 2, hlo.SCALAR_MEMORY, hlo.MAIN_MEMORY]
    assert computation["near"].nbytes == computation["a"].nbytes == 8 * 4


def test_operands_are_read_where_xla_numbers_every_fifth_one():
    names = [f"p{number}" for number in range(12)]
    numbered = ", ".join(f"/*index={i}*/%{name}" if i and i % 5 == 0 else f"%{name}" for i, name in enumerate(names))
    parameters = "".join(f"  %{name} = f32[4]{{0}} parameter({i})\n" for i, name in enumerate(names))
    text = f"ENTRY %main () -> f32[4] {{\n{parameters}  ROOT %f = f32[4]{{0}} fusion({numbered}), calls=%g\n}}\n"
    assert hlo.parse(text).computations["main"]["f"].operands == names


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [("f32", 32), ("bf16", 16), ("pred", 8), ("f8e4m3fn", 8), ("s4", 4), ("u64", 64), ("c64", 64), ("token", 0)],
)
def test_the_bits_of_an_element_are_in_the_name_of_its_dtype(dtype, bits):
    assert hlo.bits(dtype) == bits


def test_a_program_compiled_here_is_read_whole():
    def loop(x):
        return jax.lax.fori_loop(0, 3, lambda _, y: jnp.sin(y) @ y, x)

    text = jax.jit(loop).lower(jnp.ones((4, 4))).compile().as_text()
    program = hlo.parse(text)
    instructions = [other for computation in program.computations.values() for other in computation.values()]
    assert len(instructions) == sum(" = " in line for line in text.splitlines() if line.startswith("  "))
    assert {"while", "parameter"} <= {instruction.opcode for instruction in instructions}
    for computation in program.computations.values():
        for instruction in computation.values():
            if instruction.opcode not in ("parameter", "constant"):
                assert set(instruction.operands) <= set(computation)


def test_a_line_that_is_cut_off_is_no_program():
    with pytest.raises(ValueError, match="is not closed"):
        hlo.parse("ENTRY %main (p: f32[2]) -> f32[2] {\n  %p = f32[2]{0} add(%a, %b\n}")
