package config

import (
	"net/netip"
	"reflect"
	"testing"

	"knockd/internal/packet"
)

// TestSameSeesEveryField changes one field after the other.
func TestSameSeesEveryField(t *testing.T) {
	fields := reflect.TypeFor[Door]()
	for i := range fields.NumField() {
		d, o := fullDoor(), fullDoor()
		if !d.Same(&o) {
			t.Fatal("two equal doors are not the same")
		}
		field := reflect.ValueOf(&o).Elem().Field(i)
		change(t, field)
		name := fields.Field(i).Name
		if reflect.DeepEqual(d, o) {
			t.Fatalf("%s was not changed", name)
		}
		if same := name == "Line"; d.Same(&o) != same {
			t.Errorf("another %s: the same %v", name, !same)
		}
		field.SetZero()
		if same := name == "Line" || reflect.DeepEqual(d, o); d.Same(&o) != same {
			t.Errorf("no %s: the same %v", name, !same)
		}
	}
}

// fullDoor has something where nothing is not the zero value.
func fullDoor() Door {
	return Door{
		Name: "a", Sequence: []packet.Port{{Proto: packet.TCP, Number: 1}}, Target: netip.MustParseAddr("192.0.2.1"),
		Open: []PortRange{{Proto: packet.TCP, First: 22, Last: 22}},
		Set4: &SetRef{Family: "ip", Table: "t", Set: "s"}, Set6: &SetRef{Family: "ip6", Table: "t", Set: "s"},
	}
}

// change gives a value another one of its type.
func change(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(v.Uint() + 1)
	case reflect.Slice:
		change(t, v.Index(0))
	case reflect.Pointer:
		change(t, v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[netip.Addr]() {
			v.Set(reflect.ValueOf(netip.MustParseAddr("192.0.2.2")))
			return
		}
		change(t, v.Field(v.NumField()-1))
	default:
		t.Fatalf("a field of kind %s", v.Kind())
	}
}
