package facts_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestOwnSchema keeps muster-schema.txt equal to the muster_ tables of the
// builtin package. It reads the sources, because the tables of the other
// operating system are not compiled here.
func TestOwnSchema(t *testing.T) {
	files, err := filepath.Glob("builtin/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			fields := map[string]ast.Expr{}
			for _, e := range lit.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					if key, ok := kv.Key.(*ast.Ident); ok {
						fields[key.Name] = kv.Value
					}
				}
			}
			name := stringOf(fields["Name"])
			call, isCall := fields["Columns"].(*ast.CallExpr)
			if !strings.HasPrefix(name, "muster_") || !isCall || len(call.Args) != 1 {
				return true
			}
			platforms := map[string]string{"onLinux": "linux", "onWindows": "windows", "onBoth": "linux,windows"}[fmt.Sprint(fields["Platforms"])]
			lines = append(lines, fmt.Sprintf("%s %s: %s", name, platforms, strings.Join(strings.Fields(stringOf(call.Args[0])), " ")))
			return true
		})
	}
	slices.Sort(lines)
	want := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile("muster-schema.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("muster-schema.txt")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("muster-schema.txt is not that of the builtin tables: go test ./agent/facts -run OwnSchema -update\n%s", want)
	}
}

func stringOf(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		return ""
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return s
}
