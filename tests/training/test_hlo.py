"""What is read from a compiled program's text."""

import jax
import jax.numpy as jnp
import pytest

from cxr_jax.training.hlo import Moved, Program

TEXT = """\
HloModule jit_step, is_scheduled=true

%sum (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %add.1 = f32[] add(%a, %b)
}

%fused (p: f32[8,4], q: f32[4,2]) -> f32[8,2] {
  %p = f32[8,4]{1,0} parameter(0)
  %q = f32[4,2]{1,0} parameter(1)
  ROOT %dot.1 = f32[8,2]{1,0} dot(%p, %q), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

%body (t: (s32[], f32[4])) -> (s32[], f32[4]) {
  %t = (s32[], /*index=1*/f32[4]{0}) parameter(0)
  %i = s32[] get-tuple-element(%t), index=0
  %x = f32[4]{0} get-tuple-element(%t), index=1
  %ar = f32[4]{0} all-reduce(%x), replica_groups={{0,1}}, to_apply=%sum
  ROOT %out = (s32[], f32[4]{0}) tuple(%i, %ar)
}

%cond (t.1: (s32[], f32[4])) -> pred[] {
  %t.1 = (s32[], f32[4]{0}) parameter(0)
  ROOT %yes = pred[] constant(true)
}

ENTRY %main (x.1: f32[8,4], y.1: bf16[4,2]) -> f32[8,2] {
  %x.1 = f32[8,4]{1,0:T(8,128)} parameter(0)
  %y.1 = bf16[4,2]{1,0:T(8,128)(2,1)S(1)} parameter(1)
  %w = f32[4,2]{1,0:T(8,128)S(1)} convert(%y.1), metadata={op_name="jvp(net)/cast"}
  %z = f32[8,2]{1,0} fusion(%x.1, %w), calls=%fused, metadata={op_name="transpose(jvp(net))/dot"}
  %ags = (f32[8,2]{1,0}, f32[16,2]{1,0}) all-gather-start(%z), dimensions={0}
  %agd = f32[16,2]{1,0} all-gather-done(%ags)
  %cs = (f32[8,2]{1,0:S(1)}, f32[8,2]{1,0}, u32[]) copy-start(%z)
  %cd = f32[8,2]{1,0:S(1)} copy-done(%cs)
  %init = (s32[], f32[4]{0}) tuple(%n, %v)
  %loop = (s32[], f32[4]{0}) while(%init), condition=%cond, body=%body, metadata={op_name="/loop"}
  ROOT %r = f32[8,2]{1,0} copy(%z)
}
"""


def once(loop):
    return 1


def thrice(loop):
    return 3 if loop.source.endswith("/loop") else 1


def test_collectives_are_counted_by_kind_and_in_loops_as_often_as_they_run():
    program = Program.parse(TEXT)
    gathered = {"all-gather": Moved(1, 16 * 2 * 4)}
    assert program.collectives(once) == {**gathered, "all-reduce": Moved(1, 16)}
    assert program.collectives(thrice) == {**gathered, "all-reduce": Moved(3, 48)}


def test_traffic_is_operands_and_results_in_main_memory_alone():
    traffic = Program.parse(TEXT).traffic(thrice)
    assert traffic == {
        # One operand is padded to 128 columns, the other is in fast memory.
        "dot, backward": Moved(1, (8 * 128 + 8 * 2) * 4),
        "copy, other": Moved(2, (1 + 2) * 8 * 2 * 4),  # one end of the first is
        "all-gather, other": Moved(1, 16 * 2 * 4),
        "all-reduce, other": Moved(3, 3 * 2 * 16),
        "convert, forward": Moved(1, 0),
    }
    sizes = [each.bytes for each in traffic.values()]
    assert sizes == sorted(sizes, reverse=True)


PARTS = """\
%sliced (p: bf16[9,256], q: bf16[9,32]) -> bf16[9,32] {
  %q = bf16[9,32]{1,0:T(8,128)(2,1)} parameter(1)
  %p = bf16[9,256]{1,0:T(8,128)(2,1)} parameter(0)
  %part = bf16[9,32]{1,0:T(8,128)(2,1)} slice(%p), slice={[0:9], [32:64]}
  ROOT %sum = bf16[9,32]{1,0:T(8,128)(2,1)} add(%part, %q)
}

%updated (p: bf16[9,256], q: bf16[9,32], i: s32[]) -> bf16[9,256] {
  %p.1 = bf16[9,256]{1,0:T(8,128)(2,1)} parameter(0)
  %q.1 = bf16[9,32]{1,0:T(8,128)(2,1)} parameter(1)
  %i.1 = s32[] parameter(2)
  ROOT %in = bf16[9,256]{1,0:T(8,128)(2,1)} dynamic-update-slice(%p.1, %q.1, %i.1, %i.1)
}

ENTRY %main (x: bf16[9,256], y: bf16[9,32], n: s32[]) -> bf16[9,256] {
  %x = bf16[9,256]{1,0:T(8,128)(2,1)} parameter(0)
  %y = bf16[9,32]{1,0:T(8,128)(2,1)} parameter(1)
  %n = s32[] parameter(2)
  %z = bf16[9,32]{1,0:T(8,128)(2,1)} fusion(%x, %y), calls=%sliced
  ROOT %w = bf16[9,256]{1,0:T(8,128)(2,1)} fusion(%x, %z, %n), calls=%updated
}
"""


def test_of_slices_and_updates_in_place_the_part_moves():
    tile = 16 * 128 * 2  # what 9 x 32 numbers take there
    assert Program.parse(PARTS).traffic(once) == {
        "elementwise, other": Moved(2, (1 + 1 + 1) * tile + (1 + 1) * tile + 4)
    }


def test_traffic_is_what_xla_counts_where_there_is_one_memory():
    def function(x, w):
        return jnp.tanh(x @ w).sum(0), jnp.sort(x, axis=-1)

    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((64, 32), (32, 48))]
    compiled = jax.jit(function).lower(*shapes).compile()
    moved = Program.parse(compiled.as_text()).traffic(once)
    found = sum(each.bytes for each in moved.values())
    assert found == pytest.approx(compiled.cost_analysis()["bytes accessed"], rel=0.1)


def test_what_is_no_program_is_refused():
    with pytest.raises(ValueError, match="got one without an ENTRY"):
        Program.parse("HloModule nothing")
