package api

import (
	"context"
	"io"
	"net/http"

	"github.com/passmuster/muster/collector/api/export"
)

func exportOperations() []operation {
	scope := []param{byCounty, asOf, known}
	return []operation{
		exportOf("oscal", "exportOSCAL", "Assessment results (OSCAL "+export.OSCALVersion+") of the state or a county.", scope, typeJSON, ".json", export.OSCAL),
		exportOf("ocsf", "exportOCSF", "Compliance findings (OCSF "+export.OCSFVersion+", class 2003), one a line, of the state or a county.", scope, typeLines, ".jsonl", export.OCSF),
	}
}

// exportOf is an operation that streams a document as of one instant.
func exportOf(name, id, about string, query []param, media, ext string,
	write func(context.Context, io.Writer, export.Source, export.Scope) error) operation {
	return operation{method: http.MethodGet, path: "/api/v1/export/" + name, id: id, about: about, query: query, status: http.StatusOK,
		gives: []content{{media: media}},
		serve: func(c *call, w http.ResponseWriter) error {
			c.pin()
			return c.serveFile(w, media, ext, func(out io.Writer) error {
				return write(c.Context(), out, c.Store, export.Scope{Site: c.Site, County: c.county, View: c.view, Catalogue: c.Catalogue()})
			})
		}}
}
