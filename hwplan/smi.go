package hwplan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// smiTimeout bounds one call of nvidia-smi. It takes some 50 ms, and seconds where it must wake the driver first.
const smiTimeout = 3 * time.Second

// The bits of throttleReasons in nvidia-smi's words; the first since driver 535, and it refuses what it does not know.
const (
	smiReasons    = "clocks_event_reasons.active"
	smiOldReasons = "clocks_throttle_reasons.active"
)

// smiSource reads the cards through NVIDIA's own program.
type smiSource struct {
	path string
	old  bool // the driver wants smiOldReasons
}

func (s *smiSource) read(ctx context.Context) ([]GPU, error) {
	reasons := smiReasons
	if s.old {
		reasons = smiOldReasons
	}
	out, err := s.query(ctx, reasons)
	if err != nil && !s.old && strings.Contains(out, "not a valid field to query") {
		s.old = true
		out, err = s.query(ctx, smiOldReasons)
	}
	if err != nil {
		return nil, smiError(out, err)
	}
	return parseSMI(out)
}

func (s *smiSource) close() error { return nil }

// query returns what nvidia-smi wrote; it writes its errors to the standard output too.
func (s *smiSource) query(ctx context.Context, reasons string) (string, error) {
	bounded, cancel := context.WithTimeout(ctx, smiTimeout)
	defer cancel()
	fields := strings.Join(smiFields, ",") + "," + reasons
	cmd := exec.CommandContext(bounded, s.path, "--query-gpu="+fields, "--format=csv,noheader,nounits")
	cmd.SysProcAttr = smiAttributes()
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err != nil && errors.Is(bounded.Err(), context.DeadlineExceeded) && ctx.Err() == nil {
		err = fmt.Errorf("no answer within %v", smiTimeout)
	}
	return out.String(), err
}

// smiError tells a lost card, and the driver's own words, from an exit status.
func smiError(out string, err error) error {
	if strings.Contains(out, "GPU is lost") || strings.Contains(out, "Unable to determine the device handle") {
		return ErrGPULost
	}
	if strings.Contains(out, "No devices were found") {
		return nil
	}
	first, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	var exit *exec.ExitError
	if first = strings.TrimSpace(first); first != "" && errors.As(err, &exit) {
		return fmt.Errorf("nvidia-smi: %s", first)
	}
	return fmt.Errorf("nvidia-smi: %w", err)
}
