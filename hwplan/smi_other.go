//go:build !windows

package hwplan

import (
	"os/exec"
	"syscall"
)

func smiAttributes() *syscall.SysProcAttr { return nil }

// findSMI looks in PATH, and where the Windows Subsystem for Linux has it.
func findSMI() string {
	for _, name := range []string{"nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
