package bars

import "testing"

var names = [3]string{"case", "view", "peer"}

func TestParse(t *testing.T) {
	const text = "lifecycle/create:v1:runc:0.5"
	got, err := Parse(text, names)
	if want := (Bar{"lifecycle/create", "v1", "runc", 0.5}); err != nil || got != want {
		t.Errorf("Parse(%q) = %v, %v, want %v", text, got, err, want)
	}
	if got.String() != text {
		t.Errorf("the bar prints as %q, want %q", got, text)
	}
}

func TestParseRejects(t *testing.T) {
	for _, text := range []string{
		"", "run-default:v2:crun", "run-default:v2:crun:0.75:1", ":v2:crun:0.75", "run-default::crun:0.75",
		"run-default:v2::0.75", "run-default:v2:crun:", "run-default:v2:crun:fast", "run-default:v2:crun:0",
		"run-default:v2:crun:-1", "run-default:v2:crun:NaN", "run-default:v2:crun:Inf",
	} {
		if got, err := Parse(text, names); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", text, got)
		}
	}
}
