package main

import (
	"encoding/json"
	"strings"
)

// messageSpec is one of Kafka's message definition files. Its format is
// described in Kafka's clients/src/main/resources/common/message/README.md.
type messageSpec struct {
	APIKey                *int16        `json:"apiKey"`
	Type                  string        `json:"type"` // request, response, header, data, ...
	Name                  string        `json:"name"`
	ValidVersions         string        `json:"validVersions"`
	FlexibleVersions      string        `json:"flexibleVersions"`
	LatestVersionUnstable bool          `json:"latestVersionUnstable"`
	Fields                []*fieldSpec  `json:"fields"`
	CommonStructs         []*structSpec `json:"commonStructs"`
}

// structSpec is a struct that several fields of a message share.
type structSpec struct {
	Name     string       `json:"name"`
	Versions string       `json:"versions"`
	Fields   []*fieldSpec `json:"fields"`
}

// fieldSpec is a field of a message or struct. A field of struct type, or of an
// array of such, either has the struct's fields or names a common struct.
type fieldSpec struct {
	Name             string          `json:"name"`
	Type             string          `json:"type"`
	Versions         string          `json:"versions"`
	NullableVersions string          `json:"nullableVersions"`
	TaggedVersions   string          `json:"taggedVersions"`
	FlexibleVersions string          `json:"flexibleVersions"`
	Tag              *uint32         `json:"tag"`
	Ignorable        bool            `json:"ignorable"`
	Default          json.RawMessage `json:"default"`
	Fields           []*fieldSpec    `json:"fields"`
}

// defaultText is the default without JSON's quotes: Kafka's files write numbers
// and booleans with and without them. It is empty if there is none.
func (f *fieldSpec) defaultText() string {
	return strings.Trim(string(f.Default), `"`)
}
