package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run runs one command and returns the exit code: 0 done, 1 it failed, 2 wrong usage.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot() //nolint:contextcheck // cobra hands the context to the commands
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errSaid):
		return 1
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "acervo: %v\n", err)
		return 2
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(stderr, "acervo: stopped")
		return 1
	default:
		fmt.Fprintf(stderr, "acervo: %v\n", err)
		return 1
	}
}

// A usageError is a command line that cannot be run: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errSaid ends a command with exit code 1 when what failed has been shown already.
var errSaid = errors.New("already said")

// newRoot is the command table.
func newRoot() *cobra.Command {
	var o overrides
	root := &cobra.Command{
		Use:   "acervo",
		Short: "A folder of documents that answers questions, in Spanish and English, with a citation for every claim",
		Long: "Acervo turns a folder of documents into a private library that answers questions in Spanish and English, with a citation for every claim.\n\n" +
			"  acervo serve            start it, then open the address it prints and drop documents in the folder\n" +
			"  acervo ask \"QUESTION\"   ask from the terminal",
		SilenceUsage: true, SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command %q; see acervo --help", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&o.file, "config", "", "configuration `file` (default: acervo.toml in the data directory)")
	flags.StringVar(&o.docs, "docs", "", "the drop folder, a `directory`")
	flags.StringVar(&o.data, "data", "", "`directory` of the index, the ledger and caches")
	flags.StringArrayVar(&o.set, "set", nil, "a setting, as `key=value`; may be repeated")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(
		serveCommand(&o), syncCommand(&o), addCommand(&o), listCommand(&o), showCommand(&o), rmCommand(&o), retryCommand(&o),
		searchCommand(&o), askCommand(&o), planCommand(&o), setupCommand(&o), verifyCommand(&o), doctorCommand(&o), versionCommand(), workerCommand(),
	)
	return root
}

// takes checks how many arguments a command has, and says what it wants.
func takes(low, high int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < low || high >= 0 && len(args) > high {
			return usagef("%s takes %s; see %s --help", cmd.Name(), what, cmd.CommandPath())
		}
		return nil
	}
}
