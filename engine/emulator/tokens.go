package emulator

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	tokenLife   = 2 * time.Hour       // of an access token (PROTOCOL.md 2.1, 6)
	refreshLife = 30 * 24 * time.Hour // of a refresh token (PROTOCOL.md 2.2)
	maxTokens   = 100_000             // that are remembered
)

// A tokenKind is what a token lets its owner be.
type tokenKind string

const (
	configured    tokenKind = "configured" // it stands in Config.Tokens
	anonymous     tokenKind = "anonymous"
	signedIn      tokenKind = "user"
	administrator tokenKind = "administrator" // of a client credential
	weChatApp     tokenKind = "wechat"        // good for WeChat's API alone
	refreshing    tokenKind = "refresh"       // good for another token alone
)

// A tokenState says whether a token can be used.
type tokenState int

const (
	unknownToken tokenState = iota // it was not given out here
	validToken
	expiredToken    // it was valid once; forgotten ones count as expired
	supersededToken // another took its place
)

// An issue is a pair of tokens as it is handed out.
type issue struct {
	kind    tokenKind
	subject string // whom they speak of: a user, an app
	access  string
	refresh string // only of those who signed in
	life    time.Duration
}

// A digest stands for a token, which is not kept.
type digest [sha256.Size]byte

func digestOf(token string) digest { return sha256.Sum256([]byte(token)) }

// A tokenStore gives tokens out and knows them again. It remembers the newest
// maxTokens; what is older is known by its seal, and taken for expired.
type tokenStore struct {
	configured map[digest]bool
	life       time.Duration
	key        [sha256.Size]byte // seals all that is given out
	given      atomic.Bool       // whether there is anything to remember

	mu        sync.Mutex
	known     map[digest]*grant
	order     []digest // of what was given out; a ring when it is full
	next      int      // the oldest in a full ring
	forgotten int64
}

// A grant is what is known of a token that was given out.
type grant struct {
	kind       tokenKind
	of         tokenKind // of a refresh token: the kind that it renews
	subject    string
	expires    time.Time
	superseded bool
}

func newTokenStore(accepted []string, life time.Duration) *tokenStore {
	t := &tokenStore{configured: make(map[digest]bool, len(accepted)), life: life, known: make(map[digest]*grant)}
	if life == 0 {
		t.life = tokenLife
	}
	for _, a := range accepted {
		t.configured[digestOf(a)] = true
	}
	_, _ = rand.Read(t.key[:]) // it never fails
	return t
}

// issue gives out an access token, and a refresh token to those who signed in.
func (s *Server) issue(kind tokenKind, subject string) issue {
	t := s.tokens
	now := time.Now()
	i := issue{kind: kind, subject: subject, life: t.life}
	if kind == weChatApp {
		i.access = t.seal(rand.Text())
	} else {
		i.access = t.jwt(kind, subject, s.env, now)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remember(i.access, &grant{kind: kind, subject: subject, expires: now.Add(t.life)})
	if kind == anonymous || kind == signedIn {
		i.refresh = t.seal(rand.Text())
		t.remember(i.refresh, &grant{kind: refreshing, of: kind, subject: subject, expires: now.Add(refreshLife)})
	}
	t.given.Store(true)
	return i
}

// renew gives out new tokens for a refresh token. With rotate that one is used
// up (PROTOCOL.md 2.2); its state is returned, and only a valid one is renewed.
func (s *Server) renew(refresh string, rotate bool) (issue, tokenState) {
	t := s.tokens
	t.mu.Lock()
	old := t.known[digestOf(refresh)]
	state := t.state(old, refresh)
	if old != nil && old.kind != refreshing {
		state = unknownToken
	}
	if state == validToken && rotate {
		old.superseded = true // before the lock goes: it is good for one renewal
	}
	t.mu.Unlock()
	if state != validToken {
		return issue{}, state
	}
	return s.issue(old.of, old.subject), validToken
}

// lookup says what a token is, and whether it can be used now.
func (s *Server) lookup(text string) (kind tokenKind, subject string, state tokenState) {
	t := s.tokens
	given := t.given.Load()
	if !given && len(t.configured) == 0 {
		return "", "", unknownToken
	}
	d := digestOf(text)
	if t.configured[d] {
		return configured, "", validToken
	}
	if !given {
		return "", "", unknownToken
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.known[d]
	if k == nil {
		return "", "", t.state(nil, text)
	}
	return k.kind, k.subject, t.state(k, text)
}

// supersede ends a token before its time, as WeChat does when it makes another.
func (s *Server) supersede(text string) {
	t := s.tokens
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.known[digestOf(text)]; k != nil {
		k.superseded = true
	}
}

// admits says whether a bearer token opens the platform's doors (PROTOCOL.md
// 2.1). Where Config.Tokens is empty every token does that was not given out
// here; of those that were, only the valid ones.
func (s *Server) admits(text string) (code, message string) {
	if text == "" {
		return codeNoCredentials, "missing credentials"
	}
	kind, _, state := s.lookup(text)
	switch {
	case state == expiredToken:
		return codeExpired, "access token expired"
	case state == validToken && kind != weChatApp && kind != refreshing:
		return "", ""
	case state == unknownToken && len(s.tokens.configured) == 0:
		return "", ""
	}
	return codeCredentials, "invalid credentials"
}

func (t *tokenStore) state(k *grant, text string) tokenState {
	switch {
	case k == nil && t.sealed(text):
		return expiredToken // forgotten
	case k == nil:
		return unknownToken
	case k.superseded:
		return supersededToken
	case !time.Now().Before(k.expires):
		return expiredToken
	}
	return validToken
}

func (t *tokenStore) remember(text string, k *grant) {
	d := digestOf(text)
	t.known[d] = k
	if len(t.order) < maxTokens {
		t.order = append(t.order, d)
		return
	}
	delete(t.known, t.order[t.next])
	t.order[t.next] = d
	t.next = (t.next + 1) % maxTokens
	t.forgotten++
}

// jwt makes a token in the form of the platform's own, whose claims a client
// may read.
func (t *tokenStore) jwt(kind tokenKind, subject, env string, now time.Time) string {
	claims, _ := json.Marshal(map[string]any{ // of strings and numbers: it always can be
		"iss": "https://" + env + ".api.tcloudbasegateway.com", "aud": env, "sub": subject, "scope": string(kind), "project_id": env,
		"iat": now.Unix(), "exp": now.Add(t.life).Unix(), "jti": rand.Text(),
	})
	enc := base64.RawURLEncoding
	return t.seal(enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc.EncodeToString(claims))
}

// seal ends body with what only this store can end it with.
func (t *tokenStore) seal(body string) string {
	h := hmac.New(sha256.New, t.key[:])
	h.Write([]byte(body))
	return body + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func (t *tokenStore) sealed(text string) bool {
	i := strings.LastIndexByte(text, '.')
	return i > 0 && hmac.Equal([]byte(t.seal(text[:i])), []byte(text))
}
