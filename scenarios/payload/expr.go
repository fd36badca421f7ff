package payload

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
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

// CompileBool compiles an expression for EvalBool: one that can be seen to give anything else is an error.
func CompileBool(src string, scope Scope) (*Expr, error) {
	e, err := CompileExpr(src, scope)
	if err != nil {
		return nil, err
	}
	root := e.program.Node()
	if _, ok := root.(*ast.NilNode); ok {
		return nil, notBool(src, "null")
	}
	switch t := root.Type(); t.Kind() {
	case reflect.Interface, reflect.Bool: // what is not known yet is seen when it is evaluated
		return e, nil
	default:
		return nil, notBool(src, kindName(t.String()))
	}
}

func notBool(src, got string) *Error {
	return at(src, 0, "expected true or false, got "+got, "compare it with something, such as by == or >")
}

// CompileExpr compiles the source of an expression. Errors are *Error.
func CompileExpr(src string, scope Scope) (*Expr, error) {
	if len(src) > MaxSource {
		return nil, at(src, 0, fmt.Sprintf("the expression has %d bytes; %d are allowed", len(src), MaxSource), "")
	}
	if strings.TrimSpace(src) == "" {
		return nil, at(src, 0, "the expression is empty", "")
	}
	if i := strings.Index(src, "${{"); i >= 0 && strings.TrimSpace(src[:i]) == "" {
		return nil, at(src, i, "this is an expression as it stands", "write it without ${{ and }}")
	}
	strict := newStrict(scope)
	program, err := expr.Compile(src, expr.Env(&Env{}), expr.Patch(strict), declare)
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
		return false, notBool(e.source, describe(v))
	}
	return b, nil
}
