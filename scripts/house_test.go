// Package scripts_test keeps the rules of the house as Go tests, so that `go test ./...` is the only command to know:
// who may import whom, where third parties live, no init, no package-level state, no sleeping tests, files and
// functions that fit a mind and a screen, and a comment on every exported name.
//
// The rules are tables at the top of this file; a rule is bent only by a row of exceptions, which says why.
package scripts_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

const (
	module = "github.com/bobbin-log/bobbin"

	fileLinesMax     = 600
	funcLinesMax     = 80
	testFuncLinesMax = 150 // tables of cases are long and still easy to read
)

// anything in mayImport stands for every package of ours.
const anything = "*"

// mayImport says which of our packages each package may import. A package without a row of its own is held to the row
// of the nearest folder above it, and may import its siblings there.
var mayImport = map[string][]string{
	"segment/vfs":            {},
	"segment/batch":          {},
	"protocol/wire":          {},
	"segment":                {"segment/vfs"},
	"index":                  {"segment/vfs"},
	"engine":                 {"segment", "index", "segment/batch", "segment/vfs"},
	"replication/quorum":     {"engine", "segment/batch", "segment/vfs"},
	"replication/kraft":      {"segment/batch", "segment/vfs"},
	"replication/controller": {"replication/quorum", "segment/batch"},
	"replication/group":      {"replication/quorum", "segment/batch"},
	"replication/txn":        {"replication/quorum", "segment/batch"},
	"replication": {"replication/quorum", "replication/controller", "replication/kraft", "replication/group", "replication/txn",
		"engine", "segment", "segment/batch", "segment/vfs"},
	"protocol":            {"replication", "engine", "segment", "segment/batch", "protocol/wire"},
	"protocol/brokertest": {anything},
	"bench":               {anything},
	"fuzz":                {anything},
	"cmd":                 {anything},
	"scripts":             {anything},
}

// rooms says in which folders each third party may be imported outside of tests; a folder covers what lies below it.
var rooms = map[string][]string{
	"github.com/edsrzf/mmap-go":           {"segment/vfs"},
	"github.com/google/btree":             {"index"},
	"github.com/hashicorp/raft":           {"replication/quorum"},
	"github.com/hashicorp/go-hclog":       {"replication/quorum"},
	"github.com/klauspost/compress":       {"segment/batch"},
	"github.com/pierrec/lz4/v4":           {"segment/batch"},
	"github.com/HdrHistogram":             {"bench"},
	"github.com/spf13/cobra":              {"cmd"},
	"github.com/spf13/pflag":              {"cmd"},
	"github.com/prometheus/client_golang": {"cmd"},
	"github.com/twmb/franz-go":            {"cmd", "bench", "fuzz", "scripts"},
	"golang.org/x/sys":                    {"segment/vfs", "protocol"},
	"golang.org/x/term":                   {"cmd"},
	"golang.org/x/sync":                   {""},
}

// drawers are names under which things are put that nobody wanted to name.
var drawers = []string{"types", "util", "utils", "common", "config", "metrics", "mock", "mocks", "internal", "helpers"}

// selfEvident are methods whose name says all that a comment could.
var selfEvident = []string{"Error", "String", "Unwrap", "Is"}

// exceptions holds "rule path" or "rule path name" with the reason why the rule is bent there.
var exceptions = map[string]string{}

// source is one parsed Go file of the repository.
type source struct {
	path      string // from the root of the repository, with slashes
	dir       string // its folder, "." for the root
	file      *ast.File
	lines     int
	test      bool // *_test.go
	generated bool
	nested    bool // belongs to a nested module: imports are its own affair
}

// house is the parsed repository.
type house struct {
	fset    *token.FileSet
	sources []source
}

// TestHouse parses the repository once and holds every file to every rule.
func TestHouse(t *testing.T) {
	h := parseHouse(t)
	used := map[string]bool{}
	for _, rule := range []struct {
		name  string
		check func(h house) []violation
	}{
		{"imports", imports},
		{"thirdparty", thirdParties},
		{"drawer", noDrawers},
		{"init", noInit},
		{"state", noState},
		{"sleep", noSleepingTests},
		{"filelines", fileLines},
		{"funclines", funcLines},
		{"doc", documented},
		{"packagedoc", packageDocumented},
	} {
		t.Run(rule.name, func(t *testing.T) {
			for _, v := range rule.check(h) {
				key := strings.TrimSpace(rule.name + " " + v.path + " " + v.name)
				if _, ok := exceptions[key]; ok {
					used[key] = true
					continue
				}
				t.Errorf("%s: %s", v.at, v.why)
			}
		})
	}
	for key, why := range exceptions {
		if !used[key] {
			t.Errorf("the exception %q (%s) is no longer needed: take it away", key, why)
		}
	}
}

// violation is one place where a rule is broken.
type violation struct {
	path string // file, or folder for rules about packages
	name string // what in it: an import, a function; empty for the whole file
	at   string // path:line
	why  string
}

func (h house) breach(s source, pos token.Pos, name, format string, args ...any) violation {
	return violation{s.path, name, fmt.Sprintf("%s:%d", s.path, h.fset.Position(pos).Line), fmt.Sprintf(format, args...)}
}

func parseHouse(t *testing.T) house {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	h := house{fset: token.NewFileSet()}
	nested := map[string]bool{}
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(p, root), string(filepath.Separator)))
		if d.IsDir() {
			if n := d.Name(); rel != "" && (n[0] == '.' || n[0] == '_' || n == "testdata" || n == "node_modules") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(p, "go.mod")); rel != "" && (err == nil || nested[path.Dir(rel)]) {
				nested[rel] = true
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(h.fset, rel, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		h.sources = append(h.sources, source{
			path: rel, dir: path.Dir(rel), file: f, lines: strings.Count(string(text), "\n"),
			test: strings.HasSuffix(rel, "_test.go"), generated: ast.IsGenerated(f), nested: nested[path.Dir(rel)],
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(h.sources) == 0 {
		t.Fatalf("no Go file found below %s", root)
	}
	return h
}

// row returns the row of mayImport that holds for a folder, and the folder that it is written for.
func row(dir string) (allowed []string, owner string, ok bool) {
	for owner = dir; owner != "."; owner = path.Dir(owner) {
		if allowed, ok = mayImport[owner]; ok {
			return allowed, owner, true
		}
	}
	return nil, "", false
}

func imports(h house) (bad []violation) {
	for _, s := range h.sources {
		if s.test || s.nested {
			continue
		}
		allowed, owner, ok := row(s.dir)
		if !ok {
			bad = append(bad, h.breach(s, s.file.Package, "", "package %s has no row in mayImport: say what it may import", s.dir))
			continue
		}
		for _, spec := range s.file.Imports {
			ours, is := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module+"/")
			if !is || slices.Contains(allowed, anything) || slices.Contains(allowed, ours) {
				continue
			}
			if _, theirs, _ := row(ours); s.dir != owner && theirs == owner {
				continue // siblings below one row
			}
			bad = append(bad, h.breach(s, spec.Pos(), ours, "%s may not import %s (it may import %q)", s.dir, ours, allowed))
		}
	}
	return bad
}

func thirdParties(h house) (bad []violation) {
	for _, s := range h.sources {
		if s.test || s.nested {
			continue
		}
		for _, spec := range s.file.Imports {
			name := strings.Trim(spec.Path.Value, `"`)
			if first, _, _ := strings.Cut(name, "/"); !strings.Contains(first, ".") || within(name, module) {
				continue
			}
			folders, known := roomOf(name)
			if !known {
				bad = append(bad, h.breach(s, spec.Pos(), name, "%s has no room: say in the table where it may live", name))
			} else if !slices.ContainsFunc(folders, func(f string) bool { return within(s.dir, f) }) {
				bad = append(bad, h.breach(s, spec.Pos(), name, "%s may be imported in %q only", name, folders))
			}
		}
	}
	return bad
}

func roomOf(name string) (folders []string, known bool) {
	for owner := name; owner != "."; owner = path.Dir(owner) {
		if folders, known = rooms[owner]; known {
			return folders, true
		}
	}
	return nil, false
}

// within says whether a slash-separated name is folder itself or lies below it; everything lies below "".
func within(name, folder string) bool {
	return folder == "" || name == folder || strings.HasPrefix(name, folder+"/")
}

func noDrawers(h house) (bad []violation) {
	for _, s := range h.sources {
		if i := slices.IndexFunc(strings.Split(s.dir, "/"), func(n string) bool { return slices.Contains(drawers, n) }); i >= 0 {
			bad = append(bad, h.breach(s, s.file.Package, "", "a folder named %s is a drawer: name what is in it", s.dir))
		}
	}
	return bad
}

func noInit(h house) (bad []violation) {
	for _, s := range h.sources {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				bad = append(bad, h.breach(s, f.Pos(), "", "no init: let the caller, or a table, say what happens"))
			}
		}
	}
	return bad
}

func noSleepingTests(h house) (bad []violation) {
	for _, s := range h.sources {
		if !s.test || importsPath(s.file, "testing/synctest") { // there a sleep is virtual time, and exact
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && selector(sel) == "time.Sleep" {
				bad = append(bad, h.breach(s, n.Pos(), "", "no time.Sleep in tests: wait for a condition or a channel"))
			}
			return true
		})
	}
	return bad
}

func importsPath(f *ast.File, name string) bool {
	return slices.ContainsFunc(f.Imports, func(s *ast.ImportSpec) bool { return s.Path.Value == `"`+name+`"` })
}

func fileLines(h house) (bad []violation) {
	for _, s := range h.sources {
		if !s.generated && s.lines > fileLinesMax {
			bad = append(bad, h.breach(s, s.file.Package, "", "%d lines, %d at most: split it by what it speaks of", s.lines, fileLinesMax))
		}
	}
	return bad
}

func funcLines(h house) (bad []violation) {
	for _, s := range h.sources {
		limit := funcLinesMax
		if s.test {
			limit = testFuncLinesMax
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || s.generated {
				continue
			}
			if n := h.fset.Position(f.End()).Line - h.fset.Position(f.Pos()).Line + 1; n > limit {
				bad = append(bad, h.breach(s, f.Pos(), f.Name.Name, "%s has %d lines, %d at most", f.Name.Name, n, limit))
			}
		}
	}
	return bad
}

// noState finds package-level variables that can change. A variable is a constant that Go cannot spell, a sentinel
// error or a table, when it has a value where it is declared, nothing in its package assigns to it or takes its
// address, and it is no lock, channel or atomic. A sync.Pool may stand: what it holds changes nothing anyone can see.
func noState(h house) (bad []violation) {
	packages := map[string][]source{}
	for _, s := range h.sources {
		if !s.test && !s.generated {
			packages[s.dir+" "+s.file.Name.Name] = append(packages[s.dir+" "+s.file.Name.Name], s)
		}
	}
	for name, sources := range packages {
		bad = append(bad, h.stateOf(name, sources)...)
	}
	return bad
}

func (h house) stateOf(name string, sources []source) (bad []violation) {
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	files := make([]*ast.File, len(sources))
	for i, s := range sources {
		files[i] = s.file
	}
	// Imports are left unresolved on purpose, so the checker complains about every use of them; what it resolves
	// within the package is all that is needed, and no other package has to compile.
	checker := types.Config{Error: func(error) {}, FakeImportC: true}
	_, _ = checker.Check(name, h.fset, files, info) // each complaint went to Error
	changed := map[types.Object]token.Pos{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			for _, target := range targets(n) {
				if id := root(target); id != nil && info.Uses[id] != nil {
					changed[info.Uses[id]] = id.Pos()
				}
			}
			return true
		})
	}
	for _, s := range sources {
		for spec, doc := range packageVars(s.file) {
			for i, id := range spec.Names {
				why := ""
				if pos, ok := changed[info.Defs[id]]; ok {
					why = fmt.Sprintf("is changed at %s", h.fset.Position(pos))
				} else if len(spec.Values) == 0 && !strings.Contains(doc, "go:embed") {
					why = "has no value where it is declared, so something must change it"
				} else if i < len(spec.Values) && mutable(spec.Values[i]) {
					why = "can change"
				}
				if why != "" && id.Name != "_" {
					bad = append(bad, h.breach(s, id.Pos(), id.Name, "no package-level state: %s %s", id.Name, why))
				}
			}
		}
	}
	return bad
}

// packageVars returns the var declarations at the top level of a file, each with the comments in front of it.
func packageVars(f *ast.File) map[*ast.ValueSpec]string {
	specs := map[*ast.ValueSpec]string{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			spec := s.(*ast.ValueSpec)
			for _, doc := range []*ast.CommentGroup{g.Doc, spec.Doc} {
				if doc != nil {
					for _, c := range doc.List { // Text() leaves directives out
						specs[spec] += c.Text + "\n"
					}
				}
			}
			specs[spec] += ""
		}
	}
	return specs
}

// targets returns the expressions that a statement or expression may change.
func targets(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return []ast.Expr{n.Key, n.Value}
		}
	case *ast.CallExpr:
		if id, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && slices.Contains([]string{"delete", "clear", "copy"}, id.Name) {
			return n.Args[:1]
		}
	}
	return nil
}

// root returns the variable that an expression like (*x).f[i] starts from; a composite literal has none.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// mutable says whether a variable with this initial value is there to change: made rather than listed, or shared.
func mutable(value ast.Expr) bool {
	switch v := value.(type) {
	case *ast.UnaryExpr:
		return v.Op == token.AND
	case *ast.CallExpr:
		id, ok := v.Fun.(*ast.Ident)
		return ok && (id.Name == "make" || id.Name == "new")
	case *ast.CompositeLit:
		if sel, ok := v.Type.(*ast.SelectorExpr); ok {
			name := selector(sel)
			return strings.HasPrefix(name, "atomic.") || strings.HasPrefix(name, "sync.") && name != "sync.Pool"
		}
	}
	return false
}

func selector(s *ast.SelectorExpr) string {
	if id, ok := s.X.(*ast.Ident); ok {
		return id.Name + "." + s.Sel.Name
	}
	return ""
}

func packageDocumented(h house) (bad []violation) {
	documented, first := map[string]bool{}, map[string]source{}
	for _, s := range h.sources {
		if s.test || s.generated || s.nested {
			continue
		}
		if _, ok := first[s.dir]; !ok {
			first[s.dir] = s
		}
		documented[s.dir] = documented[s.dir] || s.file.Doc != nil
	}
	for dir, s := range first {
		if !documented[dir] {
			bad = append(bad, h.breach(s, s.file.Package, "", "package %s has no comment that tells what it is", dir))
		}
	}
	return bad
}

func documented(h house) (bad []violation) {
	for _, s := range h.sources {
		if s.test || s.generated || s.file.Name.Name == "main" {
			continue
		}
		for _, d := range s.file.Decls {
			for _, id := range undocumented(d) {
				bad = append(bad, h.breach(s, id.Pos(), id.Name, "%s is exported and has no comment", id.Name))
			}
		}
	}
	return bad
}

// undocumented returns the exported names of a declaration without a comment. One comment speaks for a whole group of
// constants or variables, or for those of the group that it names, but not for types.
func undocumented(d ast.Decl) (names []*ast.Ident) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		method := d.Recv != nil
		if method && (!receiverExported(d.Recv) || slices.Contains(selfEvident, d.Name.Name)) {
			return nil
		}
		if d.Doc == nil && d.Name.IsExported() {
			return []*ast.Ident{d.Name}
		}
	case *ast.GenDecl:
		said := ""
		for _, s := range d.Specs {
			if v, ok := s.(*ast.ValueSpec); ok {
				said += v.Doc.Text()
			}
		}
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && s.Doc == nil && s.Comment == nil && (d.Doc == nil || d.Lparen.IsValid()) {
					names = append(names, s.Name)
				}
			case *ast.ValueSpec:
				if d.Doc != nil || s.Doc != nil || s.Comment != nil {
					continue
				}
				for _, id := range s.Names {
					if id.IsExported() && !slices.Contains(strings.FieldsFunc(said, notInName), id.Name) {
						names = append(names, id)
					}
				}
			}
		}
	}
	return names
}

func notInName(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' }

func receiverExported(r *ast.FieldList) bool {
	id := root(r.List[0].Type)
	return id == nil || id.IsExported()
}
