package filter

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf/asm"
)

// Verdicts of linux/bpf.h, enum xdp_action.
const xdpDrop, xdpPass = 1, 2

// mayCall are the helpers that the prefilter may call: none of them writes to a frame, or sends one.
var mayCall = []asm.BuiltinFunc{
	asm.FnMapLookupElem, asm.FnMapUpdateElem, asm.FnKtimeGetNs, asm.FnKtimeGetCoarseNs, asm.FnGetSmpProcessorId, asm.FnXdpLoadBytes, asm.FnXdpGetBuffLen,
}

// TestOnlyPassAndDrop reads the prefilter's instructions: on every way through them it ends with one of two verdicts, it
// calls nothing that changes or sends a frame, and it never takes the address of one.
func TestOnlyPassAndDrop(t *testing.T) {
	spec, err := loadPrefilter()
	if err != nil {
		t.Fatal(err)
	}
	if len(spec.Programs) != 1 {
		t.Fatalf("%d programs", len(spec.Programs))
	}
	program := spec.Programs["prefilter"].Instructions
	for i := range program {
		in := &program[i]
		switch {
		case in.IsFunctionCall() || in.IsKfuncCall():
			t.Errorf("%v: calls what this test does not read", in)
		case in.IsBuiltinCall() && !slices.Contains(mayCall, asm.BuiltinFunc(in.Constant)):
			t.Errorf("%v: calls what it may not", in)
		}
	}
	verdicts := exits(t, program)
	slices.Sort(verdicts)
	if !slices.Equal(verdicts, []int64{xdpDrop, xdpPass}) {
		t.Errorf("the verdicts are %v, want to drop (%d) and to pass (%d)", verdicts, xdpDrop, xdpPass)
	}
}

// unknown stands for whatever is not a constant.
const unknown = -1 << 62

// exits follows what is in R0 on every way through a program, and returns what can be in it where the program ends.
func exits(t *testing.T, program asm.Instructions) (found []int64) {
	t.Helper()
	type at struct {
		offset asm.RawInstructionOffset
		r0     int64
	}
	place := map[asm.RawInstructionOffset]*asm.Instruction{}
	for iter := program.Iterate(); iter.Next(); {
		place[iter.Offset] = iter.Ins
	}
	seen := map[at]bool{}
	for todo := []at{{0, unknown}}; len(todo) > 0; {
		now := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[now] {
			continue
		}
		seen[now] = true
		in := place[now.offset]
		if in == nil {
			t.Fatalf("a way leads to %d, where there is no instruction", now.offset)
		}
		class, r0 := in.OpCode.Class(), now.r0
		next := at{now.offset + in.Width(), r0}
		jump := at{next.offset + asm.RawInstructionOffset(in.Offset), r0}
		switch {
		case class.IsJump() && in.OpCode.JumpOp() == asm.Exit:
			if !slices.Contains(found, r0) {
				found = append(found, r0)
			}
		case class.IsJump() && in.OpCode.JumpOp() == asm.Call:
			todo = append(todo, at{next.offset, unknown})
		case class == asm.Jump32Class && in.OpCode.JumpOp() == asm.Ja:
			todo = append(todo, at{next.offset + asm.RawInstructionOffset(in.Constant), r0})
		case class.IsJump() && in.OpCode.JumpOp() == asm.Ja:
			todo = append(todo, jump)
		case class.IsJump():
			todo = append(todo, next, jump)
		case class.IsALU() && in.Dst == asm.R0 && in.OpCode.ALUOp() == asm.Mov && in.OpCode.Source() == asm.ImmSource:
			todo = append(todo, at{next.offset, in.Constant})
		case (class.IsALU() || class.IsLoad()) && in.Dst == asm.R0:
			todo = append(todo, at{next.offset, unknown})
		default:
			todo = append(todo, next)
		}
	}
	return found
}

// TestExits has the reading of instructions find what it is there to find.
func TestExits(t *testing.T) {
	for _, c := range []struct {
		name    string
		program asm.Instructions
		want    []int64
	}{
		{"a constant", asm.Instructions{asm.Mov.Imm(asm.R0, 3), asm.Return()}, []int64{3}},
		{"two ways", asm.Instructions{
			asm.Mov.Imm(asm.R0, 1), {OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.JEq), Dst: asm.R1, Offset: 1}, asm.Mov.Imm(asm.R0, 2), asm.Return(),
		}, []int64{1, 2}},
		{"from a register", asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Mov.Reg(asm.R0, asm.R1), asm.Return()}, []int64{unknown}},
		{"reckoned", asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Add.Imm(asm.R0, 2), asm.Return()}, []int64{unknown}},
		{"from a call", asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.FnRedirect.Call(), asm.Return()}, []int64{unknown}},
		{"behind a wide instruction", asm.Instructions{asm.LoadImm(asm.R1, 1<<40, asm.DWord), asm.Mov.Imm(asm.R0, 4), asm.Return()}, []int64{4}},
	} {
		got := exits(t, c.program)
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
