package scenarios

import (
	_ "embed"
	"slices"
)

// The schema is made of the types in types.go, by a test that fails when it is
// stale.
//
//go:generate go test -run ^TestSchema$ -update .
//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema (draft 2020-12) of scenario files.
func Schema() []byte { return slices.Clone(schema) }
