package hwplan

import (
	"os"
	"testing"
)

// TestMain lets the test binary stand in for programs that a test starts.
func TestMain(m *testing.M) {
	if driver := os.Getenv("HWPLAN_TEST_SMI"); driver != "" {
		os.Exit(helpSMI(driver))
	}
	os.Exit(m.Run())
}
