package main

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// readSpecs returns the message definitions of the jar at path or, if that is
// empty, of the release in the local Maven repository or at Maven Central.
func readSpecs(path, kafka string) (map[string]*messageSpec, error) {
	if path != "" {
		return readJar(path)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	name := "kafka-clients-" + kafka + ".jar"
	local := filepath.Join(home, ".m2", "repository", "org", "apache", "kafka", "kafka-clients", kafka, name)
	if _, err := os.Stat(local); !errors.Is(err, fs.ErrNotExist) {
		return readJar(local)
	}
	// A copy in a folder of ours is found whatever Maven's settings call its
	// repository.
	dir, err := os.MkdirTemp("", "kafka-clients-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
		"-Dartifact=org.apache.kafka:kafka-clients:"+kafka, "-DoutputDirectory="+dir)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("fetching kafka-clients %s with Maven: %w (install Maven, or give the jar with -jar)", kafka, err)
	}
	return readJar(filepath.Join(dir, name))
}

// readJar returns the message definitions in a kafka-clients jar by name.
func readJar(jar string) (map[string]*messageSpec, error) {
	z, err := zip.OpenReader(jar)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", jar, err)
	}
	defer z.Close()
	specs := make(map[string]*messageSpec)
	for _, f := range z.File {
		if path.Dir(f.Name) != "common/message" || path.Ext(f.Name) != ".json" {
			continue
		}
		spec, err := readSpec(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", jar, f.Name, err)
		}
		specs[spec.Name] = spec
	}
	if len(specs) == 0 {
		return nil, fmt.Errorf("%s: no common/message/*.json in it: is it a kafka-clients jar?", jar)
	}
	return specs, nil
}

func readSpec(f *zip.File) (*messageSpec, error) {
	in, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	spec := new(messageSpec)
	return spec, json.Unmarshal([]byte(withoutComments(string(text))), spec)
}

// withoutComments removes comments from // to the end of the line, which
// Kafka's files have and JSON doesn't.
func withoutComments(text string) string {
	var b strings.Builder
	inString := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\' && i+1 < len(text):
			b.WriteByte(c)
			i++
		case c == '"':
			inString = !inString
		case !inString && strings.HasPrefix(text[i:], "//"):
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				return b.String()
			}
			i += end
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
