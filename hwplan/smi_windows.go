package hwplan

import (
	"os"
	"path/filepath"
	"syscall"
)

// smiAttributes keep a console window from flashing up.
func smiAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{HideWindow: true} }

// findSMI looks where drivers put nvidia-smi, the present ones first. It does not
// look in PATH, where anybody's program could stand.
func findSMI() string {
	for _, path := range []string{
		filepath.Join(os.Getenv("SystemRoot"), "System32", "nvidia-smi.exe"),
		filepath.Join(os.Getenv("ProgramW6432"), "NVIDIA Corporation", "NVSMI", "nvidia-smi.exe"),
	} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && filepath.IsAbs(path) {
			return path
		}
	}
	return ""
}
