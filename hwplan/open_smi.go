//go:build !linux || !cgo

package hwplan

import "fmt"

// openGPUs reads the cards through nvidia-smi: this program was built without NVML.
func openGPUs() (gpuSource, error) {
	path := findSMI()
	if path == "" {
		return nil, fmt.Errorf("%w (nvidia-smi is missing)", errNoDriver)
	}
	return &smiSource{path: path}, nil
}
