package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
)

// Where kmsg's structs differ from Kafka's definitions, by the names of each.
var (
	// kmsgOnly are fields of versions that Kafka has dropped.
	kmsgOnly = []string{
		"ListOffsetsRequestTopicPartition.MaxNumOffsets",
		"ListOffsetsResponseTopicPartition.OldStyleOffsets",
		"DescribeConfigsResponseResourceConfig.IsDefault",
	}
	// wireOnly are fields of versions that kmsgLacks.
	wireOnly = []string{
		"InitProducerIdRequest.Enable2Pc",
		"InitProducerIdRequest.KeepPreparedTxn",
		"InitProducerIdResponse.OngoingTxnProducerId",
		"InitProducerIdResponse.OngoingTxnProducerEpoch",
	}
	// ownDefaults have another default in kmsg, so they can't be compared
	// before the version that brought them.
	ownDefaults = map[string]int16{
		"ListOffsetsRequest.TimeoutMs":           10,
		"MetadataRequest.AllowAutoTopicCreation": 4,
	}
	// pairs are declared in another order.
	pairs = map[string]string{
		"DeleteTopicsRequest.Topics":     "Topics",
		"DeleteTopicsRequest.TopicNames": "TopicNames",
	}
)

// difference says how two messages of ours differ; nil and empty slices are the
// same. It is empty if they don't.
func difference(a, b reflect.Value) string {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			if d := difference(a.Field(i), b.Field(i)); d != "" {
				return "." + a.Type().Field(i).Name + d
			}
		}
		return ""
	case reflect.Slice:
		if a.Len() != b.Len() {
			return fmt.Sprintf(": %d and %d elements", a.Len(), b.Len())
		}
		for i := range a.Len() {
			if d := difference(a.Index(i), b.Index(i)); d != "" {
				return fmt.Sprintf("[%d]%s", i, d)
			}
		}
		return ""
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			if a.IsNil() != b.IsNil() {
				return fmt.Sprintf(": null is %v and %v", a.IsNil(), b.IsNil())
			}
			return ""
		}
		return difference(a.Elem(), b.Elem())
	}
	if a.Interface() != b.Interface() {
		return fmt.Sprintf(": %v and %v", a, b)
	}
	return ""
}

// compare says how a struct of ours differs from kmsg's. The fields are paired
// in the order of their declaration, which both have from Kafka's definitions;
// the names differ too often.
func compare(our, their reflect.Value, version int16) string {
	theirs := fields(their, kmsgOnly)
	ours := fields(our, wireOnly)
	if len(ours) != len(theirs) {
		return fmt.Sprintf("%s: %d fields, kmsg has %d", our.Type().Name(), len(ours), len(theirs))
	}
	for i, f := range ours {
		path := our.Type().Name() + "." + f.Name
		if version < ownDefaults[path] {
			continue
		}
		counterpart := their.FieldByIndex(theirs[i].Index)
		if name := pairs[path]; name != "" {
			counterpart = their.FieldByName(name)
		}
		if d := compareValue(our.FieldByIndex(f.Index), counterpart, path, version); d != "" {
			return d
		}
	}
	return ""
}

// fields are the fields of a struct that are Kafka's and not listed.
func fields(v reflect.Value, without []string) []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(v.Type()), func(f reflect.StructField) bool {
		return f.Name == "Version" || f.Name == "UnknownTags" || slices.Contains(without, v.Type().Name()+"."+f.Name)
	})
}

func compareValue(our, their reflect.Value, path string, version int16) string {
	if r, ok := our.Interface().(Records); ok {
		b := their.Bytes()
		if r.Null != (b == nil) || !bytes.Equal(r.Bytes, b) {
			return fmt.Sprintf("%s: %v, kmsg has %v", path, r, b)
		}
		return ""
	}
	// Where null is allowed in newer versions only, kmsg may have a pointer and
	// this package too, or one of them.
	our, their = pointee(our), pointee(their)
	if our.IsValid() != their.IsValid() {
		return fmt.Sprintf("%s: present is %v, in kmsg %v", path, our.IsValid(), their.IsValid())
	}
	if !our.IsValid() {
		return ""
	}
	switch our.Kind() {
	case reflect.Struct:
		return compare(our, their, version)
	case reflect.Slice:
		if our.Len() != their.Len() {
			return fmt.Sprintf("%s: %d elements, kmsg has %d", path, our.Len(), their.Len())
		}
		for i := range our.Len() {
			if d := compareValue(our.Index(i), their.Index(i), path, version); d != "" {
				return d
			}
		}
		return ""
	}
	if got, want := fmt.Sprint(our), fmt.Sprint(their.Convert(our.Type())); got != want {
		return fmt.Sprintf("%s: %s, kmsg has %s", path, got, want)
	}
	return ""
}

// pointee follows a pointer; the result isn't valid if it is nil.
func pointee(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Pointer {
		return v.Elem()
	}
	return v
}
