package hwplan

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestParseSMIGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/smi/*.csv")
	if err != nil || len(paths) < 8 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			result := struct {
				GPUs  []GPU  `json:"gpus"`
				Error string `json:"error,omitempty"`
			}{}
			if result.GPUs, err = parseSMI(string(content)); err != nil {
				result.Error = err.Error()
			}
			got, err := json.MarshalIndent(result, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(path, ".csv") + ".golden.json"
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(got)+"\n" != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestParseSMIStrict(t *testing.T) {
	const good = "0, GPU-1, NVIDIA X, 580.1, 6144, 6001, 1, 405, 7001, 210, 2100, 41, 4.87, 60.00, 0, 0x1"
	for name, change := range map[string][2]string{
		"negative memory":  {"6144", "-1"},
		"too large":        {"6144", "9999999999999"},
		"another unit":     {"6144", "6 GiB"},
		"power is nothing": {"4.87", "NaN"},
		"power is endless": {"4.87", "+Inf"},
		"mask not hex":     {"0x1", "Active"},
		"mask without 0x":  {"0x1", "12"},
		"no name":          {"NVIDIA X", "[Unknown Error]"},
		"no index":         {"0, GPU", "[N/A], GPU"},
		"a value more":     {"60.00", "60,00"},
		"half a bracket":   {"6001", "[N/A"},
	} {
		if gpus, err := parseSMI(strings.Replace(good, change[0], change[1], 1)); err == nil {
			t.Errorf("%s: read as %+v", name, gpus)
		}
	}
	gpus, err := parseSMI(good + "\r\n\r\n" + strings.Replace(good, "6144", "[GPU is lost]", 1) + "\r\n")
	if len(gpus) != 1 || !errors.Is(err, ErrGPULost) {
		t.Errorf("one card of two is lost: %+v, %v", gpus, err)
	}
}

func FuzzParseSMI(f *testing.F) {
	paths, err := filepath.Glob("testdata/smi/*.csv")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(content))
	}
	f.Fuzz(func(t *testing.T, out string) {
		gpus, err := parseSMI(out)
		if err != nil && !errors.Is(err, ErrGPULost) && gpus != nil {
			t.Errorf("%d cards with the error %v", len(gpus), err)
		}
		for _, g := range gpus {
			if g.Name == "" || g.Index < 0 || g.TotalBytes < 0 || g.FreeBytes < 0 || g.UsedBytes < 0 || !(g.PowerW >= 0) || g.Bandwidth() < 0 {
				t.Errorf("%q is read as %+v", out, g)
			}
			if _, err := json.Marshal(g); err != nil {
				t.Errorf("%q: %v", out, err)
			}
		}
	})
}

// TestSMIProcess runs this test's own binary in the place of nvidia-smi.
func TestSMIProcess(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		driver string // what helpSMI plays
		cards  int
		err    string
	}{
		{driver: "new", cards: 1},
		{driver: "old", cards: 1},
		{driver: "none", err: "nvidia-smi: NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running."},
		{driver: "empty"},
		{driver: "lost", err: ErrGPULost.Error()},
		{driver: "unknown", err: ErrGPULost.Error()},
		{driver: "hangs", err: "nvidia-smi: no answer within 3s"},
	} {
		t.Run(c.driver, func(t *testing.T) {
			if c.driver == "hangs" && testing.Short() {
				t.Skip("it waits for nvidia-smi's time to run out")
			}
			t.Setenv("HWPLAN_TEST_SMI", c.driver)
			source := &smiSource{path: self}
			for range 2 { // the second time it knows the driver
				gpus, err := source.read(t.Context())
				if len(gpus) != c.cards || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
					t.Fatalf("%d cards, %v", len(gpus), err)
				}
				if c.driver == "hangs" {
					break
				}
			}
			if source.old != (c.driver == "old") {
				t.Errorf("old: %v", source.old)
			}
		})
	}
}

// helpSMI plays nvidia-smi, in the words of its kind that people published.
func helpSMI(driver string) int {
	answer := func(text string, code int) int {
		os.Stdout.WriteString(text)
		return code
	}
	old := strings.Contains(strings.Join(os.Args, " "), smiOldReasons)
	switch driver {
	case "old":
		if !old {
			return answer("Field \"clocks_event_reasons.active\" is not a valid field to query.\n\n", 2)
		}
	case "none":
		return answer("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.\n\n", 9)
	case "empty":
		return answer("No devices were found\n", 6)
	case "lost":
		return answer("Unable to determine the device handle for GPU 0000:03:00.0: GPU is lost.  Reboot the system to recover this GPU\n", 15)
	case "unknown":
		return answer("Unable to determine the device handle for GPU0000:07:00.0: Unknown Error\n", 255)
	case "hangs":
		time.Sleep(time.Minute)
	}
	if old && driver == "new" {
		return answer("asked for the old name\n", 2)
	}
	return answer("0, GPU-1, NVIDIA X, 580.1, 6144, 6001, 1, 405, 7001, 210, 2100, 41, 4.87, 60.00, 0, 0x1\n", 0)
}
