package engine

import "fmt"

// An Outcome is the class of a result. The list is closed, so that outcomes
// can be charted, put under thresholds and compared.
type Outcome uint8

// The outcomes, and whose they are: the function's, the platform's (or a bad
// request's or account's), the way's between, and ours.
const (
	OK              Outcome = iota // the function answered, and every check held
	CheckFailed                    // the function answered, and a check of the scenario did not hold
	FunctionError                  // the function's code failed
	FunctionTimeout                // the platform ended the function at its time limit
	Throttled                      // the platform refused for rate, quota or concurrency
	PlatformError                  // the platform failed
	AuthFailed                     // the credentials were refused, or the identity may not do this
	Rejected                       // the request was refused: a wrong name, parameter, size, or an account that is not in order
	ClientTimeout                  // no whole reply within the attempt's timeout
	NetworkError                   // no whole reply for another reason; the detail names it
	Canceled                       // given up by us: the run was stopped, or another member of the group settled it
	Dropped                        // never sent: due while all of max_in_flight was in use

	NumOutcomes = int(iota)
)

// An Answer is what an outcome tells about a question on the other side.
type Answer uint8

// The answers.
const (
	Unknown Answer = iota
	No
	Yes
)

func (a Answer) String() string { return [...]string{"unknown", "no", "yes"}[a] }

// traits has what is known of each outcome. Billing follows execution: what
// the platform refused before a function ran is not billed (PROTOCOL.md 1.5,
// 7.2); what ran into a limit of ours may have run to its end unseen.
func (o Outcome) traits() (name string, executed, billed Answer) {
	switch o {
	case OK:
		return "ok", Yes, Yes
	case CheckFailed:
		return "check_failed", Yes, Yes
	case FunctionError:
		return "function_error", Yes, Yes
	case FunctionTimeout:
		return "function_timeout", Yes, Yes
	case Throttled:
		return "throttled", No, No
	case PlatformError:
		return "platform_error", Unknown, Unknown
	case AuthFailed:
		return "auth_failed", No, No
	case Rejected:
		return "rejected", No, No
	case ClientTimeout:
		return "client_timeout", Unknown, Unknown
	case NetworkError:
		return "network_error", Unknown, Unknown
	case Canceled:
		return "canceled", Unknown, Unknown
	case Dropped:
		return "dropped", No, No
	}
	return fmt.Sprintf("outcome(%d)", uint8(o)), Unknown, Unknown
}

// String returns the outcome's name as it stands in files and reports.
func (o Outcome) String() string { n, _, _ := o.traits(); return n }

// Executed says whether the function ran.
func (o Outcome) Executed() Answer { _, e, _ := o.traits(); return e }

// Billed says whether the call may cost money.
func (o Outcome) Billed() Answer { _, _, b := o.traits(); return b }

// Failed reports whether o counts as a failure: every outcome but ok and the
// two that are ours, canceled and dropped.
func (o Outcome) Failed() bool { return o != OK && o != Canceled && o != Dropped }

// ParseOutcome returns the outcome of that name.
func ParseOutcome(name string) (Outcome, bool) {
	for o := range Outcome(NumOutcomes) {
		if o.String() == name {
			return o, true
		}
	}
	return 0, false
}
