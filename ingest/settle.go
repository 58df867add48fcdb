package ingest

import "time"

// A settling is the memory of what is not quiet yet: paths that are new or
// changed, and paths that are missing. It is lost with the process, which
// costs one more quiet time.
type settling struct {
	quiet  time.Duration // how long a file must stay as it is
	looked bool          // not the first look
	fresh  map[string]sighting
	gone   map[string]time.Time // since when
}

// A sighting is since when a path has been seen with a stamp.
type sighting struct {
	stamp
	since time.Time
}

func newSettling(quiet time.Duration) *settling {
	return &settling{quiet: quiet, fresh: map[string]sighting{}, gone: map[string]time.Time{}}
}

// look compares a tree with what is known, and returns the paths that are to be
// taken and those to be dropped, and when to look again (zero: nothing is unsettled).
//
// A path is taken when it has stayed as it is for the quiet time. It is dropped
// after as long an absence, unless a file that is not quiet yet has its size:
// that may be the same file under another name.
func (s *settling) look(now time.Time, t *tree, known map[string]stamp) (take, drop []string, next time.Time) {
	unsettled := map[int64]bool{} // by size
	for name, st := range t.files {
		if known[name] == st {
			delete(s.fresh, name)
			continue
		}
		since := s.see(now, name, st)
		if now.Sub(since) >= s.quiet {
			take = append(take, name)
			continue
		}
		unsettled[st.Size] = true
		next = earlier(next, since.Add(s.quiet))
	}
	for name := range s.fresh {
		if _, there := t.files[name]; !there {
			delete(s.fresh, name)
		}
	}
	drop, missing := s.missing(now, t, known, unsettled)
	s.looked = true
	return take, drop, earlier(next, missing)
}

// see returns since when a path has had its stamp. At the first look a file
// that was left alone for long enough need not be watched first.
func (s *settling) see(now time.Time, name string, st stamp) time.Time {
	if seen, ok := s.fresh[name]; ok && seen.stamp == st {
		return seen.since
	}
	since := now
	if age := now.UnixNano() - st.newest(); !s.looked && age >= int64(s.quiet) {
		since = now.Add(-s.quiet)
	}
	s.fresh[name] = sighting{st, since}
	return since
}

// missing returns the known paths that have been absent for the quiet time.
func (s *settling) missing(now time.Time, t *tree, known map[string]stamp, unsettled map[int64]bool) (drop []string, next time.Time) {
	for name := range s.gone {
		if _, there := t.files[name]; there {
			delete(s.gone, name)
		}
	}
	for name, st := range known {
		if _, there := t.files[name]; there || t.hidden(name) {
			continue
		}
		if _, noted := s.gone[name]; !noted {
			s.gone[name] = now
		}
		since := s.gone[name]
		switch {
		case now.Sub(since) < s.quiet:
			next = earlier(next, since.Add(s.quiet))
		case unsettled[st.Size]:
			next = earlier(next, now.Add(s.quiet/2))
		default:
			drop = append(drop, name)
		}
	}
	return drop, next
}

// earlier returns the earlier of two times, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
