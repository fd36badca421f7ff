package auth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	early     = 30 * time.Second       // how long before its end a token is replaced, as the vendor's SDK does (PROTOCOL.md 2.2)
	patience  = 10 * time.Second       // for all that one refresh asks
	grace     = time.Second            // for the reply that is on its way when who leads a refresh no longer wants it
	tries     = 3                      // of one request, where no reply came or the endpoint is failing
	backoff   = 100 * time.Millisecond // before the second try; doubled before each further one
	moment    = 5 * time.Second        // a token refused within it after it came is refused as soon as it is made
	maxSpurns = 3                      // such tokens in a row, none of which ever served, that end a session
	rest      = time.Second            // how long a token is kept that serves, whatever is said of it

	// MaxObtained is how many tokens Obtained lists.
	MaxObtained = 128
)

// A Session is a Source that asks for tokens, and for new ones before they run
// out: 30 s early, or early by half of a life of less than a minute
// (PROTOCOL.md 2.2 and 6). It starts no goroutine: whoever finds that a token
// is due asks for it, and one at a time does. While the old token is valid, all
// others go on with that; without one they wait.
//
// An early refresh that fails is no error: it is tried again until the token
// has run out. Then a failure is an *Error with Fatal set, which is what every
// later Grant returns. An endpoint that fails is asked three times within half
// a second; one that refuses, once.
//
// A caller whose context ends stops waiting. The one that asks first gives its
// exchange a second more: a refresh token that was spent on a reply which nobody
// read is lost. Then the next caller asks.
type Session struct {
	host   string
	known  []string // secrets that it came with, to be kept out of errors
	signIn *way     // nil where only a refresh token can be had
	renew  *way     // nil where there is no refresh token ever

	mu      sync.Mutex
	held    token         // handed out as long as it is valid
	due     time.Time     // when held is to be replaced
	busy    chan struct{} // closed when the refresh under way is over; nil without one
	failed  *Error        // what every Grant returns
	refresh string        // the newest refresh token; who refreshes owns it
	spent   result        // of the refresh that was refused for good, where there is no other way; as refresh
	spurned string        // the token refused last
	spurns  int           // how many in a row were refused as soon as they were made, and never served
	fresh   atomic.Bool   // held has not served yet
	got     []string      // the latest tokens
	lost    int           // how many more there have been
}

// A token is what a reply brought.
type token struct {
	bearer  string
	refresh string
	life    time.Duration
	asked   time.Time // when it was asked for: its life began after that
	came    time.Time
}

func (t token) end() time.Time { return t.asked.Add(t.life) }

func (t token) validAt(now time.Time) bool { return t.bearer != "" && now.Before(t.end()) }

// A way is one kind of request for a token.
type way struct {
	what string // such as "sign in anonymously"
	ask  func(refreshToken string) *Ask
	read func(*Answer) (token, *refusal)
}

// A refusal says why a request brought no token.
type refusal struct {
	code  string // the platform's
	text  string // in words, the platform's or ours
	cure  string // in our words alone
	again bool   // worth another try
	spent bool   // the refresh token is refused: sign in anew
}

// newSession returns a session at base, or one that has failed because base
// is not where anything could be.
func newSession(base string, known ...Secret) (*Session, *url.URL) {
	s := new(Session)
	for _, k := range known {
		if !k.IsZero() {
			s.known = append(s.known, k.Reveal())
		}
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		s.failed = &Error{
			What:  "ask for a token: its address has no scheme and host",
			Cure:  "write it like https://e-1.api.tcloudbasegateway.com",
			Fatal: true,
		}
		return s, new(url.URL)
	}
	s.host = u.Host
	return s, u
}

// Grant returns a token that is valid now, which it may have to ask for. An
// error is an *Error, or that of ctx.
func (s *Session) Grant(ctx context.Context, ask Exchange) (Grant, error) {
	for {
		s.mu.Lock()
		now := time.Now()
		valid := s.held.validAt(now)
		switch {
		case s.failed != nil:
			s.mu.Unlock()
			return Grant{}, s.failed
		case valid && (s.busy != nil || now.Before(s.due) || ctx.Err() != nil || ask == nil):
			g := Grant{Bearer: NewSecret(s.held.bearer)}
			s.mu.Unlock()
			return g, nil
		case ctx.Err() != nil:
			s.mu.Unlock()
			return Grant{}, fmt.Errorf("wait for a token: %w", context.Cause(ctx))
		case s.busy != nil:
			busy := s.busy
			s.mu.Unlock()
			select {
			case <-busy:
			case <-ctx.Done():
			}
		case ask == nil:
			s.mu.Unlock()
			return Grant{}, &Error{What: "ask for a token at " + s.host + ": no way to send the request was given"}
		default:
			s.busy = make(chan struct{})
			if s.held.bearer != "" {
				s.spurns = 0 // this one was good as long as it lasted
			}
			s.mu.Unlock()
			s.settle(ctx, s.obtain(ctx, ask))
		}
	}
}

// Accepted says that the platform took g: whoever refuses it soon after errs, or
// ended it.
func (s *Session) Accepted(g Grant) {
	if !s.fresh.Load() {
		return // nothing new, as nearly always
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held.bearer != "" && g.Bearer.Reveal() == s.held.bearer {
		s.fresh.Store(false)
	}
}

// Refused forgets g if it is the token in hand. When three tokens in a row were
// refused as soon as they were made, and none of them ever served, it gives up.
// One that does serve is replaced once a second at most: a few gateways of many
// that err, or another program that ends our tokens, make no storm.
func (s *Session) Refused(g Grant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return false
	}
	if s.held.bearer == "" || g.Bearer.Reveal() != s.held.bearer {
		return true // it has been replaced, or is about to be
	}
	age, serves := time.Since(s.held.came), !s.fresh.Load()
	if serves && age < min(rest, s.held.life/4) {
		return true
	}
	s.spurned = s.held.bearer
	if !serves && age < min(moment, s.held.life/4) {
		s.spurns++
	} else {
		s.spurns = 0
	}
	s.held = token{}
	if s.spurns < maxSpurns {
		return true
	}
	s.failed = &Error{
		What:  fmt.Sprintf("tokens made at %s are refused as soon as they are made: %d in a row", s.host, s.spurns),
		Cure:  "check the clock of this machine, the environment id, and that no other program makes tokens that end these",
		Fatal: true,
	}
	return false
}

// Obtained returns every token got on the way, refresh tokens included, so that
// what a run leaves behind can be kept free of them: the latest MaxObtained.
func (s *Session) Obtained() []Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Secret, len(s.got))
	for i, t := range s.got {
		all[i] = NewSecret(t)
	}
	return all
}

// Count returns how many tokens have been got so far, those included that
// Obtained no longer lists. While it stays, so does Obtained.
func (s *Session) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got) + s.lost
}

// A result is how a refresh ended: with a token, or with no and the error
// that it makes when there is no other token.
type result struct {
	token
	no  *refusal
	err *Error
}

// settle takes in how the refresh under way has ended, and lets others go on.
func (s *Session) settle(ctx context.Context, r result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.busy)
	s.busy = nil

	now := time.Now()
	switch {
	case r.no != nil && s.held.validAt(now):
		// No harm yet: once more before it ends.
		s.due = now.Add(max(time.Second, s.held.end().Sub(now)/4))
	case r.no == nil:
		s.held = r.token
		s.fresh.Store(true)
		s.due = r.end().Add(-min(early, r.life/2))
	case r.no.again && ctx.Err() != nil:
		// It was not tried as often as it should have been: the next caller does.
	case s.failed == nil:
		s.failed = r.err
	}
}

// obtain asks for a token, by the refresh token if there is one. Only one
// caller at a time is in here.
func (s *Session) obtain(ctx context.Context, ask Exchange) result {
	long, stop := linger(ctx)
	defer stop()
	if s.refresh != "" {
		r := s.try(ctx, long, ask, s.renew)
		if r.no == nil || !r.no.spent {
			return r
		}
		s.refresh = ""
		if s.signIn == nil {
			s.spent = r
		}
	}
	if s.signIn == nil {
		return s.spent
	}
	return s.try(ctx, long, ask, s.signIn)
}

// linger returns a context for what is asked on behalf of all: it ends after
// patience, or grace after ctx.
func linger(ctx context.Context) (context.Context, func()) {
	long, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	limit := time.AfterFunc(patience, func() { cancel(fmt.Errorf("nothing within %v", patience)) })
	stop := context.AfterFunc(ctx, func() { limit.Reset(grace) })
	return long, func() {
		stop()
		limit.Stop()
		cancel(nil)
	}
}

// try asks one way, again where that may help and there is time left: long is
// for what is asked, ctx for the waits between.
func (s *Session) try(ctx, long context.Context, ask Exchange, w *way) result {
	q := w.ask(s.refresh)
	for n := 1; ; n++ {
		t, no := s.once(long, ask, w, q)
		if no == nil {
			return result{token: t}
		}
		if !no.again || n == tries || ctx.Err() != nil || long.Err() != nil {
			return result{no: no, err: s.explain(w, q, no, n)}
		}
		pause := time.NewTimer(backoff << (n - 1))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

// once sends q and takes in the tokens that its reply brings.
func (s *Session) once(long context.Context, ask Exchange, w *way, q *Ask) (token, *refusal) {
	asked := time.Now()
	a, err := ask(long, q)
	if err != nil && long.Err() != nil {
		err = context.Cause(long)
	}
	if err != nil {
		// The error of net/http quotes the URL, which may have a secret in it.
		if wrap, ok := errors.AsType[*url.Error](err); ok {
			err = wrap.Err
		}
		return token{}, &refusal{text: "no reply: " + err.Error(), again: true, cure: "check the network, and that this is the right host"}
	}
	t, no := w.read(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(t.bearer)
	s.note(t.refresh)
	if no != nil {
		return token{}, no
	}
	t.asked, t.came = asked, time.Now()
	if t.refresh != "" && s.renew != nil {
		s.refresh = t.refresh // rotated: the one before is worth nothing now
	}
	switch {
	case t.bearer == s.spurned:
		return token{}, &refusal{
			text: "it gives out the very token again that was refused", again: true,
			cure: "wait until that token has run out, and check that it was asked for with the right credentials",
		}
	case !t.validAt(t.came):
		return token{}, &refusal{
			text: fmt.Sprintf("the token lives for %v, and had run out when it came after %v", t.life, t.came.Sub(asked)),
			cure: "give tokens a longer life",
		}
	}
	return t, nil
}

// note remembers a token that was got.
func (s *Session) note(text string) {
	if text == "" || len(s.got) > 0 && s.got[len(s.got)-1] == text {
		return
	}
	if len(s.got) == MaxObtained {
		copy(s.got, s.got[1:])
		s.got = s.got[:MaxObtained-1]
		s.lost++
	}
	s.got = append(s.got, text)
}

// explain makes a refusal the error that it is when there is no other token.
func (s *Session) explain(w *way, q *Ask, no *refusal, n int) *Error {
	s.mu.Lock()
	secrets := append(secretsOf(q), s.known...)
	secrets = append(secrets, s.got...)
	s.mu.Unlock()

	text := no.text
	if no.code != "" {
		text = no.code + ": " + text
	}
	text = mask(text, secrets)
	if n > 1 {
		text += fmt.Sprintf(" (%d tries)", n)
	}
	return &Error{
		What:  fmt.Sprintf("%s at %s: %s", w.what, s.host, text),
		Code:  mask(no.code, secrets),
		Cure:  no.cure,
		Fatal: true,
	}
}
