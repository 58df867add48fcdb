package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/acervo-kb/acervo/hwplan"
)

func planCommand(o *overrides) *cobra.Command {
	var d hwplan.Description
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show which model computes where: on this machine, or on one that is described",
		Long: "Plans the memory of a machine: how many layers of the language model go to the GPU beside the embedder, and why.\n" +
			"Without flags it is this machine's plan. A model named by a flag is neither replaced nor moved to another device.\n" +
			"No engine need run; one that does is asked for the exact sizes of its models.",
		Example: "  acervo plan\n  acervo plan --gpu-total 6GiB --ram 32GiB --os windows --llm qwen2.5:7b --embedder bge-m3",
		Args:    takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := loadConfig(*o)
			if err != nil {
				return err
			}
			plan, err := makePlan(cmd.Context(), cfg, d)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), plan)
			}
			return printPlan(cmd.OutOrStdout(), plan)
		},
	}
	f := cmd.Flags()
	f.Var(size{&d.GPUTotalBytes}, "gpu-total", "`size` of the VRAM, e.g. 6144MiB; 0 for no GPU")
	f.Var(size{&d.GPUFreeBytes}, "gpu-free", "`size` of what is free of it")
	f.Var(size{&d.RAMBytes}, "ram", "`size` of the RAM")
	f.Var(count{&d.Cores}, "cores", "`number` of physical cores")
	f.StringVar(&d.OS, "os", "", "`system`: windows, linux or darwin")
	f.StringVar(&d.LLM, "llm", "", "language `model` to keep")
	f.StringVar(&d.Embedder, "embedder", "", "embedding `model` to keep, or none")
	f.StringVar(&d.Reranker, "reranker", "", "`model` that orders passages anew, e.g. bge-reranker-v2-m3 (none by default)")
	f.StringVar(&d.Captions, "captions", "", "`model` that describes images, e.g. qwen3-vl:2b (none by default)")
	f.Var(count{&d.Context}, "ctx", "`tokens` of context")
	f.StringVar((*string)(&d.KV), "kv", "", "`type` of the KV cache: f16, q8_0 or q4_0")
	f.Var(count{&d.Batch}, "batch", "`tokens` that the language model reads at once")
	f.Var(count{&d.EmbedderBatch}, "embedder-batch", "`tokens` that the embedder reads at once")
	f.Var(size{&d.MarginBytes}, "margin", "`size` of the VRAM to leave alone")
	f.Var(size{&d.CUDAContextBytes}, "cuda-context", "`size` of what each process takes of the VRAM beside its buffers")
	f.StringVar(&d.Ollama, "ollama", "", "`version` of Ollama whose counting of num_gpu is used")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// makePlan asks the server that runs on the same data for the plan in force. Where none answers, or another machine is
// described, it plans by itself, without opening the data.
func makePlan(ctx context.Context, cfg Config, d hwplan.Description) (hwplan.Plan, error) {
	var plan hwplan.Plan
	if h := readHolder(cfg.Data); h.URL != "" && d == (hwplan.Description{}) {
		c := &client{http: &http.Client{Timeout: 5 * time.Second}, base: h.URL}
		if c.call(ctx, http.MethodGet, "/api/v1/plan", nil, &plan) == nil {
			return plan, nil
		}
	}
	detector := hwplan.NewDetector(cfg.Data)
	defer func() { _ = detector.Close() }() // nothing is written
	keeper, err := newKeeper(cfg, detector, slog.New(slog.DiscardHandler))
	if err != nil {
		return plan, err
	}
	plan, err = keeper.WhatIf(ctx, d)
	if err != nil && ctx.Err() == nil {
		return plan, usageError{err}
	}
	return plan, err
}

// A size is a flag of bytes.
type size struct{ value **int64 }

var _ pflag.Value = size{}

func (s size) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > 1<<62 {
		return fmt.Errorf("%q is no size; write it like 6144MiB or 6GiB", text)
	}
	*s.value = new(int64(n))
	return nil
}

func (s size) Type() string { return "size" }

func (s size) String() string {
	if s.value == nil || *s.value == nil {
		return ""
	}
	return humanize.IBytes(uint64(**s.value))
}

// A count is a flag of a number.
type count struct{ value **int }

func (c count) Set(text string) error {
	var n int
	if _, err := fmt.Sscanf(text+"\n", "%d\n", &n); err != nil {
		return fmt.Errorf("%q is no whole number", text)
	}
	*c.value = &n
	return nil
}

func (c count) Type() string { return "number" }

func (c count) String() string {
	if c.value == nil || *c.value == nil {
		return ""
	}
	return fmt.Sprint(**c.value)
}

// roleOrder is that of the table.
var roleOrder = []hwplan.Role{hwplan.Chat, hwplan.Embedding, hwplan.Reranking, hwplan.Transcription, hwplan.OCR, hwplan.Captions}

func printPlan(out io.Writer, p hwplan.Plan) error {
	fmt.Fprintln(out, headline(p))
	if p.GPU.TotalBytes > 0 {
		fmt.Fprintf(out, "\n%s\n", bar(p))
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ROLE\tMODEL\tDEVICE\tLAYERS\tNUM_GPU\tCONTEXT\tBATCH\tVRAM\tRAM\tTOKENS/S\t")
	for _, role := range roleOrder {
		if r, ok := p.Placement(role); ok {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", role, r.Model, device(p, role), layers(r), numGPU(r),
				positive(r.NumCtx), positive(cmp.Or(r.NumBatch, r.Batch)), inMiB(r.VRAMBytes), inMiB(r.RAMBytes), speed(r))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nWhy")
	for _, line := range p.Why {
		fmt.Fprintln(out, "  "+line)
	}
	for i, line := range p.Warnings {
		if i == 0 {
			fmt.Fprintln(out, "\nMind")
		}
		fmt.Fprintln(out, "  "+line)
	}
	return nil
}

// headline is the plan in a sentence.
func headline(p hwplan.Plan) string {
	chat, ok := p.Roles[hwplan.Chat]
	text := "No language model is planned."
	switch {
	case ok && p.Mode == hwplan.ModeGPU:
		text = fmt.Sprintf("%s computes wholly on the GPU.", chat.Model)
	case ok && p.Mode == hwplan.ModeHybrid:
		text = fmt.Sprintf("%s computes on both: %d of its %d layers on the GPU, the rest on the CPU.", chat.Model, chat.Offloaded, chat.Layers)
	case ok && p.Mode == hwplan.ModeAuto:
		text = fmt.Sprintf("%s computes where Ollama puts it.", chat.Model)
	case ok:
		text = fmt.Sprintf("%s computes on the CPU.", chat.Model)
	}
	if !p.Fits {
		text += " It does not fit into the memory there is."
	}
	return text
}

// barWidth is in characters.
const barWidth = 60

// bar draws the VRAM by tenant, and says what its parts are.
func bar(p hwplan.Plan) string {
	parts := []struct {
		name  string
		mark  string
		bytes int64
	}{
		{"in use by others", "▒", p.GPU.TotalBytes - p.GPU.FreeBytes},
		{"embedder", "▓", p.Roles[hwplan.Embedding].VRAMBytes},
		{"language model", "█", p.Roles[hwplan.Chat].VRAMBytes},
		{"reranker", "░", p.Roles[hwplan.Reranking].VRAMBytes},
		{"left over", "·", p.GPU.FreeBytes - p.GPU.UsedBytes - p.GPU.MarginBytes},
		{"margin", "-", p.GPU.MarginBytes},
	}
	var line strings.Builder
	var legend []string
	drawn, sum := 0, int64(0)
	for _, part := range parts {
		if part.bytes <= 0 {
			continue
		}
		sum += part.bytes
		upTo := int((sum*barWidth + p.GPU.TotalBytes/2) / p.GPU.TotalBytes)
		line.WriteString(strings.Repeat(part.mark, max(0, upTo-drawn)))
		drawn = upTo
		legend = append(legend, fmt.Sprintf("%s %s %s", part.mark, part.name, inMiB(part.bytes)))
	}
	return fmt.Sprintf("VRAM %s [%s]\n     %s", inMiB(p.GPU.TotalBytes), line.String(), strings.Join(legend, ", "))
}

func device(p hwplan.Plan, role hwplan.Role) string {
	if r, ok := p.Lent[role]; ok {
		return string(r.Device) + ", in turns"
	}
	return string(p.Roles[role].Device)
}

func layers(p hwplan.Placement) string {
	if p.Layers == 0 || p.NumGPU < 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d", p.Offloaded, p.Layers)
}

func numGPU(p hwplan.Placement) string {
	if p.Layers == 0 || p.NumGPU < 0 {
		return ""
	}
	return fmt.Sprint(p.NumGPU)
}

func speed(p hwplan.Placement) string {
	if p.Speed == nil {
		return ""
	}
	return fmt.Sprintf("%.0f–%.0f", p.Speed.Low, p.Speed.High)
}

func positive(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func inMiB(bytes int64) string { return fmt.Sprintf("%d MiB", (bytes+hwplan.MiB/2)/hwplan.MiB) }
