package sidecar

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/hwplan"
)

// TestRealBuild builds environments from the locks, over the network, and reads a page
// and hears a recording with them. ACERVO_TEST_SETUP says that it may: it takes minutes, and hundreds of megabytes.
// As "cuda" it has NVIDIA's libraries come too, which are 1.3 GB more. No card is needed: none is asked for.
func TestRealBuild(t *testing.T) {
	if os.Getenv("ACERVO_TEST_SETUP") == "" {
		t.Skip("ACERVO_TEST_SETUP is not set: packages are not to be downloaded")
	}
	cfg := Config{Environments: t.TempDir(), Cache: t.TempDir(), Scratch: t.TempDir(), Engine: engineRapid}
	t.Run("ocr", func(t *testing.T) {
		buildReally(t, ProfileOCR, cfg.Environments)
		o, err := NewOCR(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(o.Close)
		readScan(t, o, "foto-aviso-exif6.jpg", map[int]string{1: "Corte de agua el martes 11 de noviembre"})
	})
	t.Run("speech", func(t *testing.T) {
		buildReally(t, ProfileSpeech, cfg.Environments)
		hearReally(t, cfg)
	})
	t.Run("npu", func(t *testing.T) {
		buildReally(t, ProfileSpeechNPU, cfg.Environments)
		hearReally(t, cfg)
	})
	t.Run("cuda", func(t *testing.T) {
		if os.Getenv("ACERVO_TEST_SETUP") != "cuda" {
			t.Skip("ACERVO_TEST_SETUP is not cuda")
		}
		buildReally(t, ProfileSpeechCUDA, cfg.Environments)
		hearReally(t, cfg)
		set := cudaLibraries(cfg.python(speechProfiles...), hwplan.Placement{Device: hwplan.OnGPU})
		if len(set) != 1 {
			t.Fatalf("the loader is told %q", set)
		}
		_, dirs, _ := strings.Cut(set[0], "=")
		for _, lib := range []string{"libcublas.so.12", "libcudnn.so.9"} {
			if !slices.ContainsFunc(filepath.SplitList(dirs), func(dir string) bool { return len(lacking(dir, []string{lib})) == 0 }) {
				t.Errorf("%s is in none of %s", lib, dirs)
			}
		}
	})
}

func hearReally(t *testing.T, cfg Config) {
	t.Helper()
	cfg.Model = always(testModel(t))
	s := NewSpeech(cfg)
	t.Cleanup(s.Close)
	heard, err := s.Transcribe(t.Context(), sharedFile(t, filepath.Join("audio", "leopard_test_es.wav")), 0, nil)
	var text strings.Builder
	for _, segment := range heard.Segments {
		text.WriteString(segment.Text)
	}
	if err != nil || !strings.Contains(text.String(), "arenas son blanquecinas") {
		t.Errorf("heard %q, %v", text.String(), err)
	}
}

func buildReally(t *testing.T, p Profile, envs string) {
	t.Helper()
	start := time.Now()
	if err := Build(t.Context(), p, envs, func(line string) { t.Log(line) }); err != nil {
		t.Fatal(err)
	}
	var bytes int64
	err := filepath.WalkDir(p.Dir(envs), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	t.Logf("%s: built in %s, %d MB, %v", p, time.Since(start).Round(time.Second), bytes/1e6, err)
}
