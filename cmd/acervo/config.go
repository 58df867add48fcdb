package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/adrg/xdg"
	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"github.com/acervo-kb/acervo/ingest"
)

// Config is the whole configuration. Its keys are those of CONTRACT.md.
type Config struct {
	Docs     string       `koanf:"docs"`
	Data     string       `koanf:"data"`
	Addr     string       `koanf:"addr"`
	LLM      ModelConfig  `koanf:"llm"`
	Embedder ModelConfig  `koanf:"embedder"`
	Chunk    ChunkConfig  `koanf:"chunk"`
	Watch    WatchConfig  `koanf:"watch"`
	Answer   AnswerConfig `koanf:"answer"`
	OCR      OCRConfig    `koanf:"ocr"`
	Speech   EngineConfig `koanf:"speech"`
	Workers  struct {
		Python string `koanf:"python"`
	} `koanf:"workers"`

	said map[string]bool // the keys that the user set
}

// ModelConfig names a model and the server that runs it.
type ModelConfig struct {
	Provider string `koanf:"provider"` // auto, ollama, openai or none
	URL      string `koanf:"url"`
	Model    string `koanf:"model"`
	Key      string `koanf:"key"`
}

// ChunkConfig is in tokens.
type ChunkConfig struct {
	Size    int `koanf:"size"`
	Overlap int `koanf:"overlap"`
}

// WatchConfig says when a file is taken, and how often the whole folder is looked at.
type WatchConfig struct {
	Settle time.Duration `koanf:"settle"`
	Rescan time.Duration `koanf:"rescan"`
}

// AnswerConfig bounds what a model is sent.
type AnswerConfig struct {
	Context int `koanf:"context"` // tokens
}

// OCRConfig chooses what reads scans.
type OCRConfig struct {
	Engine      string `koanf:"engine"`
	Languages   string `koanf:"languages"`    // as Tesseract calls them
	Model       string `koanf:"model"`        // directory of Surya 2's files, or auto
	LlamaServer string `koanf:"llama_server"` // the program that runs Surya 2; "" is llama-server in PATH
}

// EngineConfig chooses an engine of perception.
type EngineConfig struct {
	Engine string `koanf:"engine"`
	Model  string `koanf:"model"`
}

// defaults are the weakest layer, and the list of the keys there are.
func defaults() map[string]any {
	home, err := os.UserHomeDir()
	if err != nil {
		home = "."
	}
	return map[string]any{
		"docs": filepath.Join(home, "Acervo"), "data": filepath.Join(xdg.DataHome, "acervo"), "addr": "127.0.0.1:7801",
		"llm.provider": "auto", "llm.url": "http://127.0.0.1:11434", "llm.model": "qwen2.5:7b", "llm.key": "",
		"embedder.provider": "auto", "embedder.url": "http://127.0.0.1:11434", "embedder.model": "nomic-embed-text", "embedder.key": "",
		"chunk.size": 512, "chunk.overlap": 64,
		"watch.settle": "5s", "watch.rescan": "5m",
		"answer.context": 8192,
		"ocr.engine":     "auto", "ocr.languages": "spa+eng", "ocr.model": "auto", "ocr.llama_server": "",
		"speech.engine": "auto", "speech.model": "auto",
		"workers.python": "",
	}
}

// secret are the keys whose values are never shown.
var secret = []string{"llm.key", "embedder.key"}

// envPrefix is that of the environment's keys: ACERVO_LLM_MODEL is llm.model.
const envPrefix = "ACERVO_"

// overrides are what the command line says, stronger than all else.
type overrides struct {
	file             string   // --config
	docs, data, addr string   // their own flags
	set              []string // --set key=value
}

// flags returns the overrides as keys and values.
func (o overrides) flags() (map[string]any, error) {
	values := map[string]any{}
	for _, s := range o.set {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, usagef("--set %s: write it as key=value", s)
		}
		values[strings.TrimSpace(key)] = value
	}
	for key, value := range map[string]string{"docs": o.docs, "data": o.data, "addr": o.addr} {
		if value != "" {
			values[key] = value
		}
	}
	return values, nil
}

// loadConfig layers defaults, acervo.toml, the environment and the flags, weakest first, and checks the result.
func loadConfig(o overrides) (Config, *koanf.Koanf, error) {
	base := koanf.New(".")
	if err := base.Load(confmap.Provider(defaults(), "."), nil); err != nil {
		return Config{}, nil, err
	}
	known := base.Keys()
	flags, err := o.flags()
	if err != nil {
		return Config{}, nil, err
	}
	said := map[string]bool{}
	merge := func(from string, p koanf.Provider, parser koanf.Parser) error {
		layer := koanf.New(".")
		if err := layer.Load(p, parser); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		for _, key := range layer.Keys() {
			if !slices.Contains(known, key) {
				return usagef("%s: there is no setting %q; `acervo serve --print-config` shows them all", from, key)
			}
			said[key] = true
		}
		return base.Merge(layer)
	}
	// The data directory may be said by the environment or a flag, and holds the file, which is weaker than both.
	environment := env.Provider(".", env.Opt{Prefix: envPrefix, TransformFunc: func(k, v string) (string, any) { return envKey(known, k), v }})
	path, err := configFile(o, environment)
	if err != nil {
		return Config{}, nil, err
	}
	if path != "" {
		if err := merge(path, file.Provider(path), toml.Parser()); err != nil {
			return Config{}, nil, err
		}
	}
	if err := merge("environment", environment, nil); err != nil {
		return Config{}, nil, err
	}
	if err := merge("command line", confmap.Provider(flags, "."), nil); err != nil {
		return Config{}, nil, err
	}
	cfg := Config{said: said}
	if err := base.Unmarshal("", &cfg); err != nil {
		return Config{}, nil, usagef("a setting has a value of the wrong kind: %s", firstLine(err))
	}
	return cfg, base, cfg.check()
}

// envKey is the setting that an environment variable names. Variables of the test bed are none of ours.
func envKey(known []string, variable string) string {
	if strings.HasPrefix(variable, envPrefix+"TEST") {
		return ""
	}
	for _, key := range known {
		if envPrefix+strings.ToUpper(strings.ReplaceAll(key, ".", "_")) == variable {
			return key
		}
	}
	return variable // refused by name
}

// configFile is the file to read: the one that was named, or acervo.toml in the data directory if it is there.
func configFile(o overrides, environment koanf.Provider) (string, error) {
	if o.file != "" {
		if _, err := os.Stat(o.file); err != nil {
			return "", fmt.Errorf("--config: %w", err)
		}
		return o.file, nil
	}
	data := o.data
	for _, s := range o.set {
		if value, ok := strings.CutPrefix(s, "data="); ok && data == "" {
			data = value
		}
	}
	if data == "" {
		e := koanf.New(".")
		if err := e.Load(environment, nil); err != nil {
			return "", err
		}
		if data = e.String("data"); data == "" {
			data = defaults()["data"].(string)
		}
	}
	path := filepath.Join(data, "acervo.toml")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	return path, nil
}

// check refuses values that nothing could work with, naming the key and the reason.
func (c *Config) check() error {
	one := func(key, value string, allowed ...string) error {
		if !slices.Contains(allowed, value) {
			return usagef("%s is %q; it can be %s", key, value, strings.Join(allowed, ", "))
		}
		return nil
	}
	err := errors.Join(
		one("llm.provider", c.LLM.Provider, "auto", "ollama", "openai", "none"),
		one("embedder.provider", c.Embedder.Provider, "auto", "ollama", "openai", "none"),
		one("ocr.engine", c.OCR.Engine, "auto", "tesseract", "surya", "surya1", "rapidocr", "none"),
		one("speech.engine", c.Speech.Engine, "auto", "faster-whisper", "none"),
		checkURL("llm.url", c.LLM.URL), checkURL("embedder.url", c.Embedder.URL),
		c.chunk().Validate(),
		between("watch.settle", c.Watch.Settle, 0, time.Hour), between("watch.rescan", c.Watch.Rescan, time.Second, 24*time.Hour),
		checkContext(c.Answer.Context), checkAddr(c.Addr),
	)
	if err != nil {
		return usageError{errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))}
	}
	if c.Docs, err = filepath.Abs(c.Docs); err != nil {
		return err
	}
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return err
	}
	if c.OCR.Model != "auto" { // the engine is started in a directory of its own
		if c.OCR.Model, err = filepath.Abs(c.OCR.Model); err != nil {
			return err
		}
	}
	if inside(c.Docs, c.Data) || inside(c.Data, c.Docs) {
		return usagef("docs (%s) and data (%s) must not lie in one another", c.Docs, c.Data)
	}
	return nil
}

func (c *Config) chunk() ingest.ChunkConfig {
	return ingest.ChunkConfig{Size: c.Chunk.Size, Overlap: c.Chunk.Overlap}
}

func inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func between(key string, d, low, high time.Duration) error {
	if d < low || d > high {
		return fmt.Errorf("%s is %s; it can be %s to %s", key, d, low, high)
	}
	return nil
}

func checkContext(tokens int) error {
	if tokens < 2048 || tokens > 1<<20 {
		return fmt.Errorf("answer.context is %d; it can be 2048 to %d tokens", tokens, 1<<20)
	}
	return nil
}

func checkURL(key, value string) error {
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("%s is %q; it must be an http or https URL", key, value)
	}
	return nil
}

// checkAddr lets the server be bound to this machine only: API keys, which any other address needs, do not exist yet.
func checkAddr(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("addr is %q; write it as host:port, e.g. 127.0.0.1:7801", addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("addr is %q: other machines could then read the documents without a key, and this version has no keys yet; bind to 127.0.0.1", addr)
	}
	return nil
}

// printable returns the configuration as TOML, secrets masked.
func printable(k *koanf.Koanf) (string, error) {
	shown := k.Copy()
	for _, key := range secret {
		if shown.String(key) != "" {
			if err := shown.Set(key, "***"); err != nil {
				return "", err
			}
		}
	}
	out, err := shown.Marshal(toml.Parser())
	return string(out), err
}

func firstLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
