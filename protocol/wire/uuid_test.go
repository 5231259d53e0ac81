package wire

import "testing"

func TestUUIDText(t *testing.T) {
	u := UUID{0: 0xfb, 15: 1}
	const text = "-wAAAAAAAAAAAAAAAAAAAQ"
	if got := u.String(); got != text {
		t.Errorf("String() = %q, want %q", got, text)
	}
	if got, err := ParseUUID(text); err != nil || got != u {
		t.Errorf("ParseUUID(%q) = %v, %v", text, got, err)
	}
	for _, bad := range []string{"", "x", text + "A", "+wAAAAAAAAAAAAAAAAAAAQ", "-wAAAAAAAAAAAAAAAAAAA="} {
		if got, err := ParseUUID(bad); err == nil {
			t.Errorf("ParseUUID(%q) = %v, want an error", bad, got)
		}
	}
	if u.IsZero() || !(UUID{}).IsZero() {
		t.Error("IsZero is wrong")
	}
}
