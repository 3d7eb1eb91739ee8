"""Exchanges are counted where the compilers of TPUs have put them into fusions."""

import pytest

from logogan_jax.plan import costs, hlo

# As libtpu 0.0.50 writes it, shortened: a gathering beside what a fusion computes, a sum of which each device keeps a
# part, and a whole sum.
TPU = """
%begin (part: f32[8,128]) -> (f32[8,128], f32[64,128], u32[]) {
  %part = f32[8,128]{1,0:T(8,128)S(1)} parameter(0)
  %all-gather.5 = f32[64,128]{1,0:T(8,128)} all-gather(%part), dimensions={0}, frontend_attributes={chain_id="3"}
  ROOT %call.11 = (f32[8,128]{1,0:T(8,128)S(1)}, f32[64,128]{1,0:T(8,128)}, u32[]{:S(2)}) custom-call(%all-gather.5), custom_call_target="AsyncCollectiveStart"
}

%async_collective_fusion.1 (part.1: f32[8,128], whole.1: f32[64,128], flag.1: u32[], x.1: f32[64,128]) -> (f32[64,128], f32[8,128], f32[64,128], f32[64,128], u32[]) {
  %x.1 = f32[64,128]{1,0:T(8,128)} parameter(3)
  %twice = f32[64,128]{1,0:T(8,128)} add(%x.1, %x.1)
  %part.1 = f32[8,128]{1,0:T(8,128)S(1)} parameter(0)
  %whole.1 = f32[64,128]{1,0:T(8,128)} parameter(1)
  %all-gather.7 = f32[64,128]{1,0:T(8,128)} all-gather(%part.1), dimensions={0}, frontend_attributes={chain_id="3"}
  %flag.1 = u32[]{:S(2)} parameter(2)
  ROOT %tuple.1 = (f32[64,128]{1,0:T(8,128)}, f32[8,128]{1,0:T(8,128)S(1)}, f32[64,128]{1,0:T(8,128)}, f32[64,128]{1,0:T(8,128)}, u32[]{:S(2)}) tuple(%twice, %part.1, %all-gather.7, %whole.1, %flag.1)
}

%finish (part.2: f32[8,128], whole.2: f32[64,128], flag.2: u32[]) -> f32[64,128] {
  %part.2 = f32[8,128]{1,0:T(8,128)S(1)} parameter(0)
  %whole.2 = f32[64,128]{1,0:T(8,128)} parameter(1)
  %all-gather.9 = f32[64,128]{1,0:T(8,128)} all-gather(%part.2), dimensions={0}, frontend_attributes={chain_id="3"}
  %flag.2 = u32[]{:S(2)} parameter(2)
  ROOT %call.13 = f32[64,128]{1,0:T(8,128)} custom-call(%part.2, %whole.2, %all-gather.9, %flag.2), custom_call_target="AsyncCollectiveDone"
}

%all-reduce-scatter (input: f32[64,128]) -> f32[8,128] {
  %input = f32[64,128]{1,0:T(8,128)S(1)} parameter(0)
  %all-reduce.1 = f32[64,128]{1,0:T(8,128)} all-reduce(%input), to_apply=%add
  %here = u32[] partition-id()
  %zero = u32[] constant(0)
  ROOT %mine = f32[8,128]{1,0:T(8,128)S(1)} dynamic-slice(%all-reduce.1, %here, %zero), dynamic_slice_sizes={8,128}
}

%all-reduce-whole (input.1: f32[64,128]) -> f32[64,128] {
  %input.1 = f32[64,128]{1,0:T(8,128)} parameter(0)
  ROOT %all-reduce.2 = f32[64,128]{1,0:T(8,128)} all-reduce(%input.1), to_apply=%add
}

ENTRY %main (shard: f32[8,128], x: f32[64,128]) -> f32[64,128] {
  %shard = f32[8,128]{1,0:T(8,128)S(1)} parameter(0)
  %x = f32[64,128]{1,0:T(8,128)} parameter(1)
  %async-collective-start = (f32[8,128]{1,0:T(8,128)S(1)}, f32[64,128]{1,0:T(8,128)}, u32[]{:S(2)}) fusion(%shard), kind=kCustom, calls=%begin
  %a = f32[8,128]{1,0:T(8,128)S(1)} get-tuple-element(%async-collective-start), index=0
  %b = f32[64,128]{1,0:T(8,128)} get-tuple-element(%async-collective-start), index=1
  %c = u32[]{:S(2)} get-tuple-element(%async-collective-start), index=2
  %fusion.1 = (f32[64,128]{1,0:T(8,128)}, f32[8,128]{1,0:T(8,128)S(1)}, f32[64,128]{1,0:T(8,128)}, f32[64,128]{1,0:T(8,128)}, u32[]{:S(2)}) fusion(%a, %b, %c, %x), kind=kOutput, calls=%async_collective_fusion.1
  %async-collective-done = f32[64,128]{1,0:T(8,128)} fusion(%a, %b, %c), kind=kCustom, calls=%finish
  %fusion.2 = f32[8,128]{1,0:T(8,128)S(1)} fusion(%async-collective-done), kind=kCustom, calls=%all-reduce-scatter
  ROOT %fusion.3 = f32[64,128]{1,0:T(8,128)} fusion(%x), kind=kCustom, calls=%all-reduce-whole
}
"""  # noqa: E501 - as XLA writes it

WHOLE = 64 * 128 * 4


@pytest.fixture(scope="module")
def kernels():
    return {kernel.name: kernel for kernel in costs.kernels(hlo.parse(TPU))}


def test_an_exchange_in_a_chain_of_fusions_counts_once_and_ends_where_the_chain_does(kernels):
    start = kernels["async-collective-start"]
    assert (start.kind, start.exchanged_bytes, start.end) == ("all-gather", WHOLE // 2, "async-collective-done")
    assert (kernels["async-collective-done"].kind, kernels["async-collective-done"].runs) == (costs.WAIT, 0)


def test_a_fusion_in_the_middle_of_a_chain_is_a_kernel_that_moves_what_it_computes(kernels):
    assert kernels["fusion.1"].exchanged_bytes == 0
    assert kernels["fusion.1"].nbytes == 2 * WHOLE  # x is read and twice is written


def test_an_exchange_alone_in_a_fusion_has_no_end_and_its_own_kind(kernels):
    kept, whole = kernels["fusion.2"], kernels["fusion.3"]
    assert (kept.kind, kept.exchanged_bytes, kept.end) == ("reduce-scatter", WHOLE // 2, "")
    assert (whole.kind, whole.exchanged_bytes, whole.end) == ("all-reduce", WHOLE, "")
    counts = costs.count([*kernels.values()], 1)
    assert (counts.collectives, counts.exchanged_bytes) == (3, 2 * WHOLE)


def test_a_chain_of_which_the_end_is_missing_hides_nothing():
    text = TPU.replace('chain_id="3"}\n  %flag.2', 'chain_id="4"}\n  %flag.2')
    assert text != TPU
    found = {kernel.name: kernel for kernel in costs.kernels(hlo.parse(text))}
    assert found["async-collective-start"].end == ""
