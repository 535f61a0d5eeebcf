package api

import (
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/problem"
)

var update = flag.Bool("update", false, "write openapi.json anew")

type object = map[string]any

func words[T ~string](list ...T) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, w := range list {
		s.Enum = append(s.Enum, string(w))
	}
	return s
}

func text(pattern, about string) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: pattern, Description: about}
}

// plain are types whose JSON is a word.
func plain() map[reflect.Type]*jsonschema.Schema {
	return map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[muster.Status]():    words("unknown", "pass", "fail", "not_applicable"),
		reflect.TypeFor[muster.Severity]():  words("low", "medium", "high", "critical"),
		reflect.TypeFor[muster.HostState](): words(muster.HostPending, muster.HostActive, muster.HostRetired),
		reflect.TypeFor[muster.Platform]():  {Type: "string", Description: "Operating system family: windows or linux."},
		reflect.TypeFor[muster.Ring]():      words(muster.Rings...),
		reflect.TypeFor[muster.AskState]():  words(muster.AskOpen, muster.AskGranted, muster.AskDeclined),
		reflect.TypeFor[muster.Clone]():     words(muster.CloneNumber, muster.CloneChain, muster.CloneMachine, muster.CloneNode),
		reflect.TypeFor[muster.Role]():      text(`^(viewer|operator|ciso|county:[0-9]{5})$`, "viewer, operator, ciso, or county: and a FIPS code."),
		reflect.TypeFor[muster.Profile]():   words("", muster.Workstation, muster.EMS),
		reflect.TypeFor[muster.County]():    text(`^([0-9]{5})?$`, "Five-digit FIPS code of a county."),
		reflect.TypeFor[muster.HostID]():    text(`^(h[a-z2-7]{26})?$`, "Id of a host, made of its public key."),
		reflect.TypeFor[muster.Digest]():    text(`^[0-9a-f]{64}$`, "SHA-256, hex."),
	}
}

// comments of the types and fields of a folder, by "Type" and "Type.Field".
func comments(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	must(t, err)
	found := map[string]string{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		must(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			decl, ok := n.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				return true
			}
			for _, spec := range decl.Specs {
				ty := spec.(*ast.TypeSpec)
				found[ty.Name.Name] = strings.Join(strings.Fields(decl.Doc.Text()), " ")
				st, ok := ty.Type.(*ast.StructType)
				if !ok {
					continue
				}
				for _, field := range st.Fields.List {
					for _, name := range field.Names {
						found[ty.Name.Name+"."+name.Name] = strings.Join(strings.Fields(field.Doc.Text()+" "+field.Comment.Text()), " ")
					}
				}
			}
			return false
		})
	}
	return found
}

// describe makes the OpenAPI document of the operations.
func describe(t *testing.T) []byte {
	t.Helper()
	byFolder := map[string]map[string]string{
		reflect.TypeFor[muster.Host]().PkgPath():     comments(t, "../.."),
		reflect.TypeFor[Hosts]().PkgPath():           comments(t, "."),
		reflect.TypeFor[problem.Problem]().PkgPath(): comments(t, "../../internal/problem"),
	}
	named := plain()
	reflector := &jsonschema.Reflector{Anonymous: true, AllowAdditionalProperties: true,
		Mapper: func(ty reflect.Type) *jsonschema.Schema { return named[ty] },
		LookupComment: func(ty reflect.Type, field string) string {
			return byFolder[ty.PkgPath()][strings.TrimSuffix(ty.Name()+"."+field, ".")]
		}}
	schemas, from := object{}, map[string]reflect.Type{}
	schema := func(ty reflect.Type) any {
		s := reflector.ReflectFromType(ty)
		for name, def := range s.Definitions {
			schemas[name] = def
		}
		if old := from[ty.Name()]; old != nil && old != ty {
			t.Fatalf("%v and %v have one name", old, ty)
		}
		from[ty.Name()] = ty
		return object{"$ref": "#/components/schemas/" + ty.Name()}
	}
	body := func(list []content) object {
		all := object{}
		for _, c := range list {
			switch {
			case c.json != nil:
				all[c.media] = object{"schema": schema(c.json)}
			case c.media == typeJSON:
				all[c.media] = object{"schema": object{"type": "object"}}
			default:
				all[c.media] = object{}
			}
		}
		return all
	}
	schema(reflect.TypeFor[problem.Problem]())
	failure := func(about string) object {
		return object{"description": about, "content": object{problem.Type: object{"schema": object{"$ref": "#/components/schemas/Problem"}}}}
	}
	inPath := map[string]object{
		"host": {"type": "string", "pattern": "^h[a-z2-7]{26}$"}, "county": {"type": "string", "pattern": "^[0-9]{5}$"},
		"control": {"type": "string"}, "seq": {"type": "integer", "minimum": 1}, "version": {"type": "integer", "minimum": 1},
		"ask": {"type": "integer", "minimum": 1},
	}
	paths := object{}
	for _, op := range operations() {
		params := []any{}
		for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(op.path, -1) {
			params = append(params, object{"name": m[1], "in": "path", "required": true, "schema": inPath[m[1]]})
		}
		for _, p := range op.query {
			s := object{"type": "string"}
			switch {
			case p.number:
				s = object{"type": "integer", "minimum": 1, "maximum": MaxLimit, "default": DefaultLimit}
			case p.words != nil:
				s["enum"] = p.words
			}
			params = append(params, object{"name": p.name, "in": "query", "description": p.about, "schema": s})
		}
		answers := object{
			strconv.Itoa(op.status): object{"description": http.StatusText(op.status), "content": body(op.gives)},
			"400":                   failure("The request is wrong: code bad_request."), "401": failure("Nobody is signed in."),
			"403": failure("Who is lacks the role."), "404": failure("There is nothing, or nothing for who asks: code not_found."),
			"503": failure("The store does not answer, or is full: code unavailable. Try again after Retry-After."),
		}
		if op.method == http.MethodGet {
			answers["304"] = object{"description": "What If-None-Match names is still right."}
		}
		for _, status := range op.fails {
			if key := strconv.Itoa(status); answers[key] == nil {
				answers[key] = failure(map[int]string{409: "It was done, or stands against what is there: code conflict.",
					413: "The body is too large: code too_large.", 422: "The content is refused: code refused, or that of a sealed file."}[status])
			}
		}
		o := object{"operationId": op.id, "summary": op.about, "tags": []string{strings.Split(op.path, "/")[3]}, "responses": answers}
		if len(params) > 0 {
			o["parameters"] = params
		}
		if op.takes != nil {
			o["requestBody"] = object{"required": true, "content": body(op.takes)}
		}
		if paths[op.path] == nil {
			paths[op.path] = object{}
		}
		paths[op.path].(object)[strings.ToLower(op.method)] = o
	}
	b, err := json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info": object{"title": "Muster collector", "version": "1", "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
			"description": "What the state knows of its counties' computers. Times are UTC; one that is not set is 0001-01-01T00:00:00Z. " +
				"Fields are added, never renamed or given another meaning. Over the tailnet the collector knows who asks; " +
				"on its own computer a program brings the API token as bearer."},
		"servers": []any{object{"url": "/"}}, "security": []any{object{"token": []string{}}, object{}},
		"paths":      paths,
		"components": object{"schemas": schemas, "securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}}},
	}, "", " ")
	must(t, err)
	return append([]byte(strings.ReplaceAll(string(b), "#/$defs/", "#/components/schemas/")), '\n')
}

// TestOpenAPI holds openapi.json to the operations, and to the schema of OpenAPI.
func TestOpenAPI(t *testing.T) {
	want := describe(t)
	if *update {
		must(t, os.WriteFile("openapi.json", want, 0o644))
		return
	}
	if diff := cmp.Diff(string(want), string(openAPI)); diff != "" {
		t.Errorf("openapi.json is old: go test ./collector/api -run OpenAPI -update writes it\n%s", diff)
	}
	compiled, err := validator.NewCompiler().Compile("../../testdata/schemas/openapi-3.1.json")
	must(t, err)
	must(t, compiled.Validate(parse(t, string(openAPI))))
	wrong := parse(t, strings.Replace(string(openAPI), `"responses"`, `"answers"`, 1))
	if compiled.Validate(wrong) == nil {
		t.Error("the schema takes anything")
	}
}

func parse(t *testing.T, s string) any {
	t.Helper()
	v, err := validator.UnmarshalJSON(strings.NewReader(s))
	must(t, err)
	return v
}

// strict forbids fields that are not described.
func strict(v any) {
	switch x := v.(type) {
	case object:
		if x["type"] == "object" && x["properties"] != nil {
			x["additionalProperties"] = false
		}
		for _, inner := range x {
			strict(inner)
		}
	case []any:
		for _, inner := range x {
			strict(inner)
		}
	}
}

// TestAnswersAreAsDescribed asks every operation, and holds what it answers to its
// description.
func TestAnswersAreAsDescribed(t *testing.T) {
	s := newSite(t)
	doc := parse(t, string(openAPI))
	strict(doc)
	c := validator.NewCompiler()
	c.AssertFormat()
	must(t, c.AddResource("openapi.json", doc))
	host, none := "/api/v1/hosts/"+string(s.odd), "/api/v1/hosts/"+string(muster.NewHostID(nil))
	type request struct {
		target, body, media string
		status              int // 0 for the operation's own
	}
	requests := map[string][]request{
		"listHosts": {{target: "/api/v1/hosts"}, {target: "/api/v1/hosts?county=17031&limit=1"}, {target: "/api/v1/hosts?control=MVS-ENC-01&as_of=2026-11-05"},
			{target: "/api/v1/hosts?policy=policy&as_of=2026-11-20&known=now"}, {target: "/api/v1/hosts?limit=0", status: 400}, {target: "/api/v1/hosts?after=%25", status: 400}},
		"getHost":             {{target: host}, {target: host + "?as_of=2026-11-09"}, {target: none, status: 404}, {target: "/api/v1/hosts/x", status: 400}},
		"listHostFindings":    {{target: host + "/findings"}, {target: none + "/findings", status: 404}},
		"listHostTransitions": {{target: host + "/transitions?limit=3"}},
		"listHostReports":     {{target: host + "/reports"}, {target: host + "/reports?limit=2"}},
		"getHostReport":       {{target: host + "/reports/3"}, {target: host + "/reports/99", status: 404}, {target: host + "/reports/x", status: 400}},
		"listPending":         {{target: "/api/v1/pending"}},
		"listStale":           {{target: "/api/v1/stale"}, {target: "/api/v1/stale?as_of=2026-11-15&county=17031"}},
		"approveHost":         {{target: "/api/v1/hosts/" + string(s.waiting) + "/approve"}, {target: none + "/approve", status: 404}},
		"requestAudit":        {{target: host + "/audit"}, {target: "/api/v1/hosts/x/audit", status: 404}},
		"clearClone":          {{target: host + "/clear-clone"}},
		"retireHost":          {{target: "/api/v1/hosts/" + string(s.silent) + "/retire"}},
		"listCounties":        {{target: "/api/v1/counties"}, {target: "/api/v1/counties?as_of=2026-11-03"}, {target: "/api/v1/counties?as_of=2026-11-03&known=now"}},
		"getCounty":           {{target: "/api/v1/counties/17031"}, {target: "/api/v1/counties/17999", status: 404}, {target: "/api/v1/counties/1", status: 400}},
		"listCountyDays":      {{target: "/api/v1/counties/17031/days?from=2026-11-02&to=2026-11-10"}, {target: "/api/v1/counties/17031/days?from=x", status: 400}},
		"listDays":            {{target: "/api/v1/days"}},
		"listCountyExpected":  {{target: "/api/v1/counties/17031/expected?missing=true"}},
		"putExpected": {{target: "/api/v1/counties/17043/expected", body: `{"expected": [{"name": "ems-far", "profile": "ems"}]}`},
			{target: "/api/v1/counties/17043/expected", body: "name,note\nems-far,'=1+1\nother,\n", media: typeCSV},
			{target: "/api/v1/counties/17043/expected", body: `{}`, status: 400},
			{target: "/api/v1/counties/17043/expected", body: `{"expected": [], "x": 1}`, status: 400},
			{target: "/api/v1/counties/17043/expected", body: strings.Repeat(" ", maxExpected+1), status: 413}},
		"search":       {{target: "/api/v1/search?q=PC&limit=3"}, {target: "/api/v1/search?q=%25"}, {target: "/api/v1/search"}},
		"listContacts": {{target: "/api/v1/counties/17031/contacts"}},
		"putContacts": {{target: "/api/v1/counties/17043/contacts", body: `{"contacts": [{"name": "clerk", "email": "clerk@example.gov"}]}`},
			{target: "/api/v1/counties/17043/contacts", body: `{}`, status: 400}, {target: "/api/v1/counties/17043/contacts", body: `{"contacts": []} x`, status: 400},
			{target: "/api/v1/counties/17043/contacts", body: strings.Repeat(" ", maxDesk+1), status: 413}},
		"listAsks": {{target: "/api/v1/asks"}, {target: "/api/v1/asks?county=17031&open=true&limit=1"}, {target: "/api/v1/asks?open=x", status: 400}},
		"askForWaiver": {{target: "/api/v1/counties/17031/asks", body: `{"control": "MVS-ENC-01", "reason": "old", "until": "2026-12-24"}`},
			{target: "/api/v1/counties/17031/asks", body: `{"host": "` + string(s.odd) + `", "control": "MVS-ENC-01", "reason": "old", "until": "2026-12-24"}`},
			{target: "/api/v1/counties/17031/asks", body: `{"control": "MVS-ENC-01", "until": "2026-12-24"}`, status: 422},
			{target: "/api/v1/counties/17031/asks", body: `{"control": "MVS-ENC-01", "reason": "old", "until": "soon"}`, status: 400},
			{target: "/api/v1/counties/17031/asks", body: `{"host": "x", "until": "2026-12-24"}`, status: 400},
			{target: "/api/v1/counties/x/asks", body: `{}`, status: 400}},
		"answerAsk": {{target: "/api/v1/asks/1/answer", body: `{"state": "declined", "answer": "no"}`}, {target: "/api/v1/asks/1/answer", body: `{"state": "granted"}`, status: 409},
			{target: "/api/v1/asks/99/answer", body: `{"state": "granted"}`, status: 404}, {target: "/api/v1/asks/x/answer", status: 404},
			{target: "/api/v1/asks/1/answer", body: `?`, status: 400}},
		"listExpected":        {{target: "/api/v1/expected"}, {target: "/api/v1/expected?county=17043&as_of=2026-11-03"}},
		"listControls":        {{target: "/api/v1/controls"}, {target: "/api/v1/controls?county=17031&as_of=2026-11-03"}},
		"getControl":          {{target: "/api/v1/controls/MVS-ENC-01"}, {target: "/api/v1/controls/=odd,control?county=17031"}, {target: "/api/v1/controls/none", status: 404}},
		"listControlCounties": {{target: "/api/v1/controls/MVS-ENC-01/counties?as_of=2026-11-03"}},
		"listFindings": {{target: "/api/v1/findings?county=17031"}, {target: "/api/v1/findings?host=" + string(s.odd)}, {target: "/api/v1/findings?control=MVS-ENC-01&limit=1"},
			{target: "/api/v1/findings", status: 400}, {target: "/api/v1/findings?control=none", status: 400}},
		"listTransitions":  {{target: "/api/v1/transitions?limit=5"}, {target: "/api/v1/transitions?as_of=2026-11-10&county=17031"}},
		"listWaivers":      {{target: "/api/v1/waivers"}},
		"listAttestations": {{target: "/api/v1/attestations?as_of=2026-01-03"}},
		"listPolicies":     {{target: "/api/v1/policies"}},
		"publishPolicy": {{target: "/api/v1/policies?ring=early", body: "bundle"}, {target: "/api/v1/policies", body: "b", status: 409},
			{target: "/api/v1/policies", body: "junk", status: 422}, {target: "/api/v1/policies?ring=beta", body: "bundle", status: 400},
			{target: "/api/v1/policies", body: strings.Repeat("b", DefaultMaxBundle+1), status: 413}},
		"getPolicy":       {{target: "/api/v1/policies/1"}, {target: "/api/v1/policies/99", status: 404}},
		"getPolicyBundle": {{target: "/api/v1/policies/1/bundle"}, {target: "/api/v1/policies/99/bundle", status: 404}, {target: "/api/v1/policies/x/bundle", status: 404}},
		"promotePolicy":   {{target: "/api/v1/policies/1/promote"}, {target: "/api/v1/policies/99/promote", status: 404}},
		"pausePolicy":     {{target: "/api/v1/policies/1/pause"}, {target: "/api/v1/policies/x/pause", status: 404}},
		"listRings":       {{target: "/api/v1/rings"}},
		"setRing":         {{target: "/api/v1/rings", body: `{"county": "17031", "ring": "early"}`}, {target: "/api/v1/rings", body: `{"ring": "beta"}`, status: 422}, {target: "/api/v1/rings", body: `?`, status: 400}},
		"listAuditLog":    {{target: "/api/v1/audit-log"}, {target: "/api/v1/audit-log?limit=1"}},
		"listEvents":      {{target: "/api/v1/events"}, {target: "/api/v1/events?county=17031&limit=2"}},
		"listDeliveries":  {{target: "/api/v1/deliveries?hook=chat"}},
		"uploadCourier":   {{target: "/api/v1/courier", body: "sealed"}},
		"getMe":           {{target: "/api/v1/me"}},
		"getOpenAPI":      {{target: "/api/v1/openapi.json"}},
		"exportOSCAL":     {{target: "/api/v1/export/oscal"}, {target: "/api/v1/export/oscal?county=1", status: 400}},
		"exportOCSF":      {{target: "/api/v1/export/ocsf?county=17031"}},
	}
	for _, op := range operations() {
		if len(requests[op.id]) == 0 {
			t.Errorf("%s is not asked", op.id)
		}
		for _, q := range requests[op.id] {
			want := q.status
			if want == 0 {
				want = op.status
			}
			w := s.ask(op.method, q.target, q.body, "Content-Type: "+q.media)
			media, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
			described := slices.ContainsFunc(op.gives, func(c content) bool { return c.media == media }) && w.Code == op.status || media == problem.Type && w.Code != op.status
			if w.Code != want || !described {
				t.Errorf("%s %s: %d %s, want %d: %.300s", op.method, q.target, w.Code, media, want, w.Body)
				continue
			}
			if media != typeJSON && media != problem.Type || op.id == "getOpenAPI" || op.id == "exportOSCAL" && w.Code == 200 {
				continue
			}
			escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
			at := "openapi.json#/paths/" + escape.Replace(op.path) + "/" + strings.ToLower(op.method) + "/responses/" + strconv.Itoa(want) +
				"/content/" + escape.Replace(media) + "/schema"
			compiled, err := c.Compile(at)
			must(t, err)
			if err := compiled.Validate(parse(t, w.Body.String())); err != nil {
				t.Errorf("%s %s: %v\n%.500s", op.method, q.target, err, w.Body)
			}
		}
		delete(requests, op.id)
	}
	for id := range requests {
		t.Errorf("there is no operation %s", id)
	}
}

// TestEveryListIsFilled, so that the test above looks at rows.
func TestEveryListIsFilled(t *testing.T) {
	s := newSite(t)
	for _, op := range operations() {
		if op.method != http.MethodGet || !strings.HasPrefix(op.id, "list") {
			continue
		}
		target := strings.NewReplacer("{host}", string(s.odd), "{county}", "17031", "{control}", "MVS-ENC-01").Replace(op.path)
		if op.id == "listFindings" {
			target += "?county=17031"
		}
		var answer map[string]json.RawMessage
		must(t, json.Unmarshal([]byte(s.get(target)), &answer))
		name, _, _ := strings.Cut(op.gives[0].json.Field(0).Tag.Get("json"), ",")
		if string(answer[name]) == "[]" || answer[name] == nil {
			t.Errorf("%s: %q is %s", target, name, answer[name])
		}
	}
}
