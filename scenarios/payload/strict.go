package payload

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm/runtime"
)

// fieldFunc is the function that a strict access is compiled to. Its name cannot be written in an expression.
const fieldFunc = "(field)"

// equalFunc is what == is compiled to where lists or objects may be compared.
const equalFunc = "(equal)"

// lenient begins the path of an access to a map of texts that gives null for what is missing.
const lenient = "?"

// A strict rewrites accesses below the names that hold data into calls that fail when the field is missing, adds the
// environment to the calls of functions that need it, and collects what an expression reads. expr walks the tree from
// its leaves, so a node is visited after all that it is made of.
type strict struct {
	scope    Scope
	reads    []Read
	idents   []*ast.IdentifierNode
	fields   map[*ast.IdentifierNode]*ast.MemberNode // the access that starts at a name
	calls    map[ast.Node]*ast.MemberNode            // strict call to the access that it stands for
	callees  map[*ast.IdentifierNode]bool
	declared map[string]bool // by let
}

func newStrict(scope Scope) *strict {
	return &strict{
		scope:    scope,
		fields:   make(map[*ast.IdentifierNode]*ast.MemberNode),
		calls:    make(map[ast.Node]*ast.MemberNode),
		callees:  make(map[*ast.IdentifierNode]bool),
		declared: make(map[string]bool),
	}
}

// Visit is called by expr for each node of the tree.
func (s *strict) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		s.idents = append(s.idents, n)
	case *ast.VariableDeclaratorNode:
		s.declared[n.Name] = true
	case *ast.MemberNode:
		s.member(node, n)
	case *ast.CallNode:
		s.call(n)
	case *ast.BinaryNode:
		switch n.Operator {
		case "??":
			s.loosen(&n.Left)
		case "==", "!=":
			if _, ok := n.Right.(*ast.NilNode); ok {
				s.loosen(&n.Left)
			}
			if _, ok := n.Left.(*ast.NilNode); ok {
				s.loosen(&n.Right)
			}
			s.equality(node, n)
		}
	}
}

// member makes an access strict if it starts at a name that holds data.
func (s *strict) member(node *ast.Node, n *ast.MemberNode) {
	if base, ok := n.Node.(*ast.IdentifierNode); ok {
		s.fields[base] = n
	}
	ofStrings := isNamed(n.Node, "env") || isNamed(n.Node, "headers")
	if n.Optional && !ofStrings {
		s.loosen(&n.Node) // row.a?.b says that a may be missing
		return
	}
	if n.Method {
		return
	}
	path := ""
	switch base := n.Node.(type) {
	case *ast.IdentifierNode:
		switch base.Value {
		case "row", "vars", "item", "env", "body", "headers":
			path = base.Value
		default:
			return
		}
	case *ast.CallNode:
		if s.calls[base] == nil {
			return
		}
		path = base.Arguments[2].(*ast.StringNode).Value
	default:
		return
	}
	switch p := n.Property.(type) {
	case *ast.StringNode:
		path += fieldPath(p.Value)
	case *ast.IntegerNode:
		path += fmt.Sprintf("[%d]", p.Value)
	default:
		path += "[…]"
	}
	if n.Optional || isNamed(n.Node, "headers") {
		path = lenient + path
	}
	original := *n
	call := &ast.CallNode{
		Callee:    &ast.IdentifierNode{Value: fieldFunc},
		Arguments: []ast.Node{n.Node, n.Property, &ast.StringNode{Value: path}},
	}
	call.Callee.SetLocation(n.Location())
	ast.Patch(node, call)
	s.calls[call] = &original
	if base, ok := n.Node.(*ast.IdentifierNode); ok {
		s.fields[base] = &original
	}
}

// loosen undoes a strict access, but not those that it starts from. One of env or headers stays a call, because to expr
// a text that is missing from a map of texts is an empty one.
func (s *strict) loosen(node *ast.Node) {
	original := s.calls[*node]
	if original == nil {
		return
	}
	delete(s.calls, *node)
	if base, ok := original.Node.(*ast.IdentifierNode); ok && (base.Value == "env" || base.Value == "headers") {
		(*node).(*ast.CallNode).Arguments[2] = &ast.StringNode{Value: lenient + base.Value}
		return
	}
	*node = original
}

func isNamed(node ast.Node, name string) bool {
	n, ok := node.(*ast.IdentifierNode)
	return ok && n.Value == name
}

// equality makes == and != compare lists and objects by their values: to expr, the number 1 of a reply is not the 1 in
// the expression, once they stand in a list. Where one side is known to be a plain value, expr compares well, and faster.
func (s *strict) equality(node *ast.Node, n *ast.BinaryNode) {
	if isPlain(n.Left) || isPlain(n.Right) {
		return
	}
	call := &ast.CallNode{Callee: &ast.IdentifierNode{Value: equalFunc}, Arguments: []ast.Node{n.Left, n.Right}}
	call.Callee.SetLocation(n.Location())
	ast.Patch(node, call)
	if n.Operator == "!=" {
		ast.Patch(node, &ast.UnaryNode{Operator: "!", Node: call})
	}
}

// isPlain reports whether a node is known to give null, a truth value, a number or a text.
func isPlain(n ast.Node) bool {
	if _, ok := n.(*ast.NilNode); ok {
		return true
	}
	k := n.Type().Kind()
	return k == reflect.Bool || k == reflect.String || k >= reflect.Int && k <= reflect.Float64
}

// deepEqual compares lists and objects by what is in them, and all else as expr does.
func deepEqual(a, b any) bool {
	switch x := a.(type) {
	case []any:
		if y, ok := b.([]any); ok {
			return slices.EqualFunc(x, y, deepEqual)
		}
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			return maps.EqualFunc(x, y, deepEqual)
		}
	}
	return runtime.Equal(a, b)
}

// call adds the environment to the arguments of a function that needs it.
func (s *strict) call(n *ast.CallNode) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return
	}
	s.callees[callee] = true
	if needsEnv(callee.Value) {
		env := &ast.IdentifierNode{Value: "$env"}
		env.SetLocation(n.Location())
		n.Arguments = append([]ast.Node{env}, n.Arguments...)
	}
}

// misuse returns an Error for a name that expr knows and the scope does not. It also notes what is read.
func (s *strict) misuse(src string) error {
	inScope := s.scope.Names()
	var kept []*ast.MemberNode // accesses that stayed strict
	for _, m := range s.calls {
		kept = append(kept, m)
	}
	for _, n := range s.idents {
		offset := runeOffset(src, n.Location().From)
		switch {
		case s.declared[n.Value]:
		case n.Value == "$env":
			return at(src, offset, "unknown name $env", "known here: "+strings.Join(inScope, ", ")+", and functions")
		case slices.Contains(inScope, n.Value):
			r := Read{Name: n.Value}
			if m := s.fields[n]; m != nil {
				if p, ok := m.Property.(*ast.StringNode); ok {
					r.Field = p.Value
				}
				r.Strict = slices.Contains(kept, m) && !m.Optional && n.Value != "headers"
			}
			if !slices.Contains(s.reads, r) {
				s.reads = append(s.reads, r)
			}
		case isName(n.Value):
			what, fix := unknownName(n.Value, s.scope)
			return at(src, offset, what, fix)
		case !s.callees[n] && isFunction(n.Value):
			return at(src, offset, n.Value+" is a function", "call it: "+signature(n.Value))
		}
	}
	return nil
}

// field is what a strict access calls: the value of key in from, or an error if there is none. path is how the access
// was written, such as row.user.name.
func field(from, key any, path string) (any, error) {
	switch f := from.(type) {
	case map[string]any:
		if k, ok := key.(string); ok {
			if v, ok := f[k]; ok {
				return v, nil
			}
			return nil, missing(path, k, func() []string { return slices.Collect(maps.Keys(f)) })
		}
	case map[string]string:
		if k, ok := key.(string); ok {
			if v, ok := f[k]; ok {
				return v, nil
			}
			switch {
			case strings.HasPrefix(path, lenient+"headers"):
				return header(f, k), nil
			case strings.HasPrefix(path, lenient):
				return nil, nil
			}
			return nil, missing(path, k, func() []string { return slices.Collect(maps.Keys(f)) })
		}
	case []any:
		if k, ok := key.(string); ok {
			return nil, problemf("", "%s: %s is a list, not an object", path, parent(path, k))
		}
		i, err := toInt(key)
		if err != nil {
			return nil, problemf("", "%s: %s is not an index", path, describe(key))
		}
		if i < 0 {
			i += int64(len(f))
		}
		if i < 0 || i >= int64(len(f)) {
			return nil, problemf("", "%s: the list has %d elements", path, len(f))
		}
		return f[i], nil
	case nil:
		return nil, nothing(path, key)
	case string, bool, int, int64, uint64, float64:
		if k, ok := key.(string); ok {
			return nil, problemf("", "%s: %s is %s, not an object", path, parent(path, k), describe(from))
		}
	}
	return runtime.Fetch(from, key), nil
}

// header finds a header by its name, whatever its case. It is null if there is none.
func header(headers map[string]string, name string) any {
	if v, ok := headers[name]; ok {
		return v
	}
	// Two names that differ in case alone should not occur; the least of them is taken, so that it is always the same.
	found := ""
	for n := range headers {
		if strings.EqualFold(n, name) && (found == "" || n < found) {
			found = n
		}
	}
	if found == "" {
		return nil
	}
	return headers[found]
}

// parent is the part of a path before its last field.
func parent(path, last string) string { return strings.TrimSuffix(path, fieldPath(last)) }

func fieldPath(name string) string {
	for i, r := range name {
		if r != '_' && !('a' <= r && r <= 'z') && !('A' <= r && r <= 'Z') && !(i > 0 && '0' <= r && r <= '9') {
			return fmt.Sprintf("[%q]", name)
		}
	}
	if name == "" {
		return `[""]`
	}
	return "." + name
}

// missing explains an access to a field that an object does not have.
func missing(path, key string, keys func() []string) error {
	names := keys()
	slices.Sort(names)
	root, _, _ := strings.Cut(path, ".")
	near := Nearest(key, names)
	fix := fmt.Sprintf(`if it may be missing, write %s ?? "default"`, path)
	if near != "" {
		fix = fmt.Sprintf("did you mean %s%s?", parent(path, key), fieldPath(near))
	}
	switch {
	case root == "env" && strings.HasPrefix(path, "env"):
		return problemf(fix, "%s: not set in the environment", path)
	case len(names) == 0 && path == "vars"+fieldPath(key):
		return problemf(fix, "%s: nothing has been saved yet", path)
	case path == "vars"+fieldPath(key):
		return problemf(fix, "%s: nothing was saved under this name; saved so far: %s", path, list(names))
	case len(names) == 0:
		return problemf(fix, "%s: no such field; %s is an empty object", path, parent(path, key))
	}
	of := parent(path, key)
	if of == path { // the field was computed
		return problemf("", "%s: no such field %q; there are %s", path, key, list(names))
	}
	if !strings.ContainsAny(of, ".[") {
		of = "the " + of
	}
	return problemf(fix, "%s: no such field; %s has %s", path, of, list(names))
}

// nothing explains an access to a field of null.
func nothing(path string, key any) error {
	k, _ := key.(string)
	of := parent(path, k)
	switch of {
	case "row":
		return problemf("give the scenario data", "%s: there is no row", path)
	case "item":
		return problemf("item is known inside of each", "%s: there is no item", path)
	case "vars":
		return problemf("", "%s: nothing has been saved yet", path)
	case "body":
		return problemf("", "%s: the reply has no body", path)
	}
	return problemf("", "%s: %s is null", path, of)
}

// list writes names for a message, at most a dozen.
func list(names []string) string {
	const most = 12
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	return strings.Join(names, ", ") + more
}

// describe names a value for a message.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(v)
	case string:
		if r := []rune(v); len(r) > 40 {
			v = string(r[:40]) + "…"
		}
		return fmt.Sprintf("the text %q", v)
	case map[string]any, map[string]string, Map:
		return "an object"
	case []any, []string, []int:
		return fmt.Sprintf("a list of %d", reflect.ValueOf(v).Len())
	}
	switch rv := reflect.ValueOf(v); {
	case rv.CanInt(), rv.CanUint(), rv.CanFloat():
		return fmt.Sprintf("the number %v", v)
	}
	return fmt.Sprintf("a value of type %T", v)
}

// toInt converts an integer of any kind, or a float without a fraction.
func toInt(v any) (int64, error) {
	switch n := v.(type) {
	case int:
		return int64(n), nil
	case int64:
		return n, nil
	case float64:
		if n == math.Trunc(n) && math.Abs(n) < 1<<63 {
			return int64(n), nil
		}
	default:
		rv := reflect.ValueOf(v)
		switch {
		case rv.IsValid() && rv.CanInt():
			return rv.Int(), nil
		case rv.IsValid() && rv.CanUint() && rv.Uint() <= math.MaxInt64:
			return int64(rv.Uint()), nil
		}
	}
	return 0, problemf("", "expected an integer, got %s", describe(v))
}
