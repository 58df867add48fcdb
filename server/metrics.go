package server

import (
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/acervo-kb/acervo/hwplan"
)

func metricsOperation(api huma.API) huma.Operation {
	op := operation("GET /metrics", "Figures for Prometheus")
	op.Responses = problems(api)
	op.Responses["200"] = &huma.Response{Description: "In the text format of Prometheus", Content: map[string]*huma.MediaType{
		"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}},
	}}
	return op
}

// metrics serves the figures of the process and of the machine, read when they are asked for.
func (s *server) metrics(c *gin.Context) {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if status, err := s.Machine.Status(c.Request.Context()); err == nil {
		record(r, status)
	}
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(c.Writer, c.Request)
}

// record puts the state of the machine into gauges.
func record(r *prometheus.Registry, s hwplan.Status) {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "acervo", Name: name, Help: help}, labels)
		r.MustRegister(g)
		return g
	}
	memory := gauge("gpu_memory_bytes", "Memory of a GPU: total, free.", "gpu", "name", "kind")
	temperature := gauge("gpu_temperature_celsius", "Temperature of a GPU.", "gpu", "name")
	for _, g := range s.Hardware.GPUs {
		index := strconv.Itoa(g.Index) // two cards may have the same name
		memory.WithLabelValues(index, g.Name, "total").Set(float64(g.TotalBytes))
		memory.WithLabelValues(index, g.Name, "free").Set(float64(g.FreeBytes))
		temperature.WithLabelValues(index, g.Name).Set(float64(g.TemperatureC))
	}
	lendable := gauge("plan_lendable_bytes", "Memory that the plan lends, in all.", "device")
	lent := gauge("plan_lent_bytes", "Memory that is lent, by role.", "device", "role")
	waiting := gauge("plan_waiting", "Roles that wait for memory.", "device")
	for device, l := range map[string]hwplan.Lending{"gpu": s.Usage.GPU, "ram": s.Usage.RAM} {
		lendable.WithLabelValues(device).Set(float64(l.LendableBytes))
		waiting.WithLabelValues(device).Set(float64(len(l.Waiters)))
		for _, t := range l.Tenants {
			lent.WithLabelValues(device, string(t.Role)).Set(float64(t.Bytes))
		}
	}
	loads := gauge("model_loads", "Times a model was loaded since the start.", "role", "model")
	unexpected := gauge("model_unexpected_loads", "Of these, loads of a model that its engine had unloaded on its own.", "role", "model")
	planned := gauge("model_vram_bytes", "VRAM of a loaded model: planned, measured.", "role", "model", "kind")
	for role, l := range s.Loads {
		loads.WithLabelValues(string(role), l.Model).Set(float64(l.Loads))
		unexpected.WithLabelValues(string(role), l.Model).Set(float64(l.Unexpected))
		planned.WithLabelValues(string(role), l.Model, "planned").Set(float64(l.PlannedBytes))
		planned.WithLabelValues(string(role), l.Model, "measured").Set(float64(l.MeasuredBytes))
	}
	gauge("advice_level", "How strained the machine is: 0 not, 1 ingestion is slow, 2 it pauses, 3 a smaller model is offered.").WithLabelValues().Set(float64(s.Advice.Level))
}
