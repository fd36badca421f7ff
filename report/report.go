// Package report tells what a run's document says, in the formats that people
// and programs read.
package report

import (
	"encoding/json"
	"io"

	"volley/engine/record"
)

// A Reporter writes one format of a run's report. It changes nothing in the
// document. Its error is that of the writer.
type Reporter func(w io.Writer, d *record.Document) error

// Formats returns every format by the name that --format knows it by. The map
// is new on each call.
func Formats() map[string]Reporter {
	return map[string]Reporter{
		"text": Text{}.Write,
		"json": JSON,
	}
}

// JSON writes the document itself, indented, as report.json has it.
func JSON(w io.Writer, d *record.Document) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(d)
}
