package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/acervo-kb/acervo/ingest/worker"
)

// workerCommand reads documents on behalf of a server, over its standard
// input and output. Documents are hostile: only this process, which can be
// killed, ever opens one.
func workerCommand() *cobra.Command {
	var cache string
	cmd := &cobra.Command{
		Use: "worker", Hidden: true,
		Short: "Read documents for a server, over standard input and output (started by the server itself)",
		Args:  takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return worker.Serve(cmd.Context(), worker.ServeConfig{CacheDir: filepath.Join(cache, "pdfium")}, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&cache, "cache", "", "`directory` of caches")
	return cmd
}
