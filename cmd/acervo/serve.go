package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"
)

func serveCommand(o *overrides) *cobra.Command {
	var printConfig bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Watch the folder, keep the index level with it, and answer over HTTP and in the browser",
		Long: "Watches the drop folder, keeps the index level with it, and serves the web page and the HTTP API on this machine.\n" +
			"Prints the address to open. Ctrl-C stops it; nothing is lost, the next start goes on where it was.",
		Example: "  acervo serve --docs ~/Documents/Library\n  acervo serve --set embedder.model=bge-m3",
		Args:    takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, merged, err := loadConfig(*o)
			if err != nil {
				return err
			}
			if printConfig {
				text, err := printable(merged)
				if err != nil {
					return err
				}
				_, err = fmt.Fprint(cmd.OutOrStdout(), text)
				return err
			}
			say := func(url string) { fmt.Fprintf(cmd.OutOrStdout(), "listening on %s\n", url) }
			return serve(cmd.Context(), cfg, newLog(slog.LevelInfo), say)
		},
	}
	cmd.Flags().StringVar(&o.addr, "addr", "", "`host:port` to listen on (port 0 picks a free one)")
	cmd.Flags().BoolVar(&printConfig, "print-config", false, "print the configuration that holds, secrets masked, and end")
	return cmd
}

// newLog writes to standard error: in colours on a terminal, else as plain text.
func newLog(level slog.Level) *slog.Logger {
	if term.IsTerminal(int(os.Stderr.Fd())) && os.Getenv("NO_COLOR") == "" {
		return slog.New(tint.NewTextHandler(os.Stderr, &tint.Options{Level: level, TimeFormat: time.TimeOnly}))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// serve runs the whole program until ctx ends, and says where it listens.
func serve(ctx context.Context, cfg Config, log *slog.Logger, say func(url string)) (err error) {
	done := make(chan struct{})
	a, err := open(ctx, cfg, log, done)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s (is another program there? --addr chooses another place): %w", cfg.Addr, err)
	}
	url := "http://" + listener.Addr().String()
	if err := a.lock.announce(url); err != nil {
		return errors.Join(err, listener.Close())
	}
	g, ctx := errgroup.WithContext(ctx)
	a.run(g, ctx)
	g.Go(func() error { return a.corpus.Run(ctx) })
	g.Go(func() error { return a.keeper.Run(ctx) })
	g.Go(func() error {
		a.loadModels(ctx)
		return nil
	})
	g.Go(func() error { return answerHTTP(ctx, listener, a.handler, done) })
	log.Info("serving", "docs", cfg.Docs, "data", cfg.Data)
	say(url)
	return ended(g.Wait())
}

// answerHTTP serves h until ctx ends, then ends open event streams (by closing done) and lets requests finish.
func answerHTTP(ctx context.Context, l net.Listener, h http.Handler, done chan<- struct{}) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		close(done)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			return srv.Close() // an answer still being written is broken off
		}
		return nil
	})
	return g.Wait()
}

// ended is nil for a run that was asked to end.
func ended(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// work says what runs beside a command that serves the data itself.
type work int

const (
	looking  work = iota // nothing in the folder or the ledger changes
	changing             // the corpus runs: what is added is indexed
)

// local is the program serving one command within its own process.
type local struct {
	client *client
	stop   func() error
}

// serveLocally opens the data and serves it over a pipe. Its stop ends all of it.
func serveLocally(ctx context.Context, cfg Config, w work) (*local, error) {
	done := make(chan struct{})
	a, err := open(ctx, cfg, newLog(slog.LevelWarn), done)
	if err != nil {
		return nil, err
	}
	return localServer(ctx, a, done, w), nil
}

// localServer serves a over a pipe until its stop is called, which closes a.
func localServer(ctx context.Context, a *app, done chan<- struct{}, w work) *local {
	ctx, cancel := context.WithCancel(ctx)
	listener := newPipeListener()
	g, ctx := errgroup.WithContext(ctx)
	a.run(g, ctx)
	if w == changing {
		g.Go(func() error { return a.corpus.Run(ctx) })
	}
	g.Go(func() error { return answerHTTP(ctx, listener, a.handler, done) })
	transport := &http.Transport{DialContext: listener.dial}
	return &local{
		client: &client{base: localBase, http: &http.Client{Transport: transport}},
		stop: func() error {
			transport.CloseIdleConnections()
			cancel()
			return errors.Join(ended(g.Wait()), a.Close())
		},
	}
}

// asInUse returns who holds the data directory, if a server does and err says so.
func asInUse(err error) (holder, bool) {
	var used *inUseError
	if errors.As(err, &used) && used.URL != "" {
		return used.holder, true
	}
	return holder{}, false
}
