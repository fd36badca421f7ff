package payload

import (
	"fmt"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// An Expr is a compiled expression.
//
// Reading a field that does not exist, of row, vars, item, env or body, or below them, is an error that names the fields
// that do. A field is allowed to be missing, and is then null, where the expression says so: row?.x, get(row, "x"),
// row.x ?? "default", row.x == nil, and row.x?.y for row.x itself. A header that is not there is null.
type Expr struct {
	source  string
	scope   Scope
	program *vm.Program
	reads   []Read
	vms     sync.Pool // of *vm.VM: their stacks are the better part of an evaluation's cost
}

// A Read is a name in scope that an expression uses.
type Read struct {
	Name   string // such as row
	Field  string // the field of it that is read, if it is written out; row.userId has userId
	Strict bool   // without the field, the evaluation fails
}

// CompileExpr compiles the source of an expression. Errors are *Error.
func CompileExpr(src string, scope Scope) (*Expr, error) { return compile(src, scope) }

// CompileBool compiles an expression for EvalBool: one that can be seen to give anything else is an error.
func CompileBool(src string, scope Scope) (*Expr, error) { return compile(src, scope, expr.AsBool()) }

func compile(src string, scope Scope, more ...expr.Option) (*Expr, error) {
	if len(src) > MaxSource {
		return nil, at(src, 0, fmt.Sprintf("the expression has %d bytes; %d are allowed", len(src), MaxSource), "")
	}
	if strings.TrimSpace(src) == "" {
		return nil, at(src, 0, "the expression is empty", "")
	}
	strict := newStrict(scope)
	options := append([]expr.Option{expr.Env(&Env{}), expr.Patch(strict), declare}, more...)
	program, err := expr.Compile(src, options...)
	// A name of another scope is the better message, even where expr found another mistake.
	if bad := strict.misuse(src); bad != nil {
		return nil, bad
	}
	if err != nil {
		return nil, explain(src, err, scope)
	}
	return &Expr{source: src, scope: scope, program: program, reads: strict.reads}, nil
}

// Source returns what was compiled.
func (e *Expr) Source() string { return e.source }

// Reads returns the names in scope that the expression uses, in the order of their first use. A loader can tell by them
// that row is used without a dataset, or a variable that no step saves.
func (e *Expr) Reads() []Read { return e.reads }

// Eval evaluates the expression. What it returns may share memory with env. Errors are *Error.
func (e *Expr) Eval(env *Env) (any, error) {
	if env == nil {
		env = &Env{}
	}
	m, _ := e.vms.Get().(*vm.VM)
	if m == nil {
		m = &vm.VM{MemoryBudget: memoryBudget}
	}
	v, err := m.Run(e.program, env)
	e.vms.Put(m)
	if err != nil {
		return nil, explain(e.source, err, e.scope)
	}
	return v, nil
}

// EvalBool evaluates the expression, which must give true or false: there is no such thing as a truthy value.
func (e *Expr) EvalBool(env *Env) (bool, error) {
	v, err := e.Eval(env)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, at(e.source, 0, fmt.Sprintf("expected true or false, got %s", describe(v)),
			"compare it with something, such as == or !=")
	}
	return b, nil
}
