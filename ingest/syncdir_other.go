//go:build !unix

package ingest

import "os"

// syncDir does nothing where a directory cannot be synced.
func syncDir(*os.Root, string) error { return nil }
