// Package structure holds the tree to what docs/ARCHITECTURE.md says of it.
package structure

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// pure packages touch no clock, file, socket or goroutine: time is an argument.
var pure = []string{"packet", "config", "decoy", "knock", "filter", "getopt", "convert"}

// allowed are the imports of pure packages, beside each other.
var allowed = []string{
	"bytes", "cmp", "container/heap", "encoding/binary", "errors", "fmt", "hash/maphash", "io", "iter", "maps", "math",
	"math/bits", "net/netip", "path", "path/filepath", "regexp", "slices", "strconv", "strings", "time", "unicode", "unicode/utf8", "unsafe",
	"golang.org/x/net/bpf", "github.com/rogpeppe/go-internal/diff",
}

// clocks are what time must not be asked for in a pure package.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

func TestPurePackages(t *testing.T) {
	for _, name := range pure {
		t.Run(name, func(t *testing.T) {
			for path, file := range sources(t, filepath.Join(root, "internal", name)) {
				checkImports(t, path, file)
				checkCalls(t, path, file)
			}
		})
	}
}

func checkImports(t *testing.T, path string, file *ast.File) {
	t.Helper()
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		ours, inside := strings.CutPrefix(imported, "knockd/internal/")
		if !slices.Contains(allowed, imported) && (!inside || !slices.Contains(pure, ours)) {
			t.Errorf("%s imports %s, and is no longer pure", path, imported)
		}
	}
}

func checkCalls(t *testing.T, path string, file *ast.File) {
	t.Helper()
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%s starts a goroutine", path)
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
				t.Errorf("%s asks the clock: time.%s", path, n.Sel.Name)
			}
		}
		return true
	})
}

// sources parses a package's files, without its tests.
func sources(t *testing.T, dir string) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = file
	}
	if len(files) == 0 {
		t.Fatalf("%s has no Go files", dir)
	}
	return files
}

// TestArchitectureNamesEveryPackage keeps the table of packages whole.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := fs.ReadDir(os.DirFS(filepath.Join(root, "internal")), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.Contains(string(text), "`internal/"+e.Name()+"`") {
			t.Errorf("docs/ARCHITECTURE.md does not say what internal/%s is for", e.Name())
		}
	}
}
