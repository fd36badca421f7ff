// Package engine has the nouns of Volley and the loop that fires a plan.
//
// # The problem
//
// Somebody wants to know how much load a function holds, to run it over
// millions of rows and lose none, or to learn whether version 4 is slower than
// version 3. Each answer rests on numbers, and a load generator has many ways
// to get them wrong: it counts from when it sent, not from when it should
// have; it stops sending while the target is slow; it averages percentiles; it
// leaves out what failed; it is itself the bottleneck and does not say so. So
// the generator measures itself first, and every run ends with a verdict on
// its own measurement.
//
// # The nouns
//
//	Scenario    what a person wrote in a YAML file (package scenarios)
//	Plan        a scenario compiled: immutable, all that a run needs
//	Run         one execution of a plan, kept in a run folder
//	Iteration   one pass through the plan's steps (one row of a batch)
//	Step        one line of an iteration: an invocation, a group, a sequence, a pause
//	Group       invocations fired together and settled together, as Promise.all does
//	Invocation  one call of one function; an Attempt is one try at it
//	Reply       what came back
//	Result      what is written down about an invocation, a group or an iteration
//	Outcome     the class of a result, from a closed list
//	Series      all results of one step × method × qualifier (× arm)
//
// # The way of a run
//
//	scenario.yaml ──scenarios──▶ Plan ──Run.Fire──▶ Recorder ──▶ run folder ──▶ report
//	                (payload,      │                (record)                    (text, json)
//	                 dataset)      ├─ pace: when is the next one due?
//	                               ├─ group: when do members settle?
//	                               └─ Invoker: retry( check( client ) )   (invoke, check, cloud, auth)
//
// The seam between firing and telling is a folder of documented files: a
// report can be made again from it, by us or by others.
//
// # The hot path
//
// A caller is a goroutine, and does all the work on a request itself: one write,
// and in the usual case one read, on a connection that nobody else has in the
// meantime (invoke.Fast), or its frames among those of others (invoke.H2). What
// is the same each time is written once. Both sides of the wire are system calls
// that do not block and do not tell the scheduler; between them a caller lets the
// others go on, and only where its reply is not there then the runtime's poller
// waits for it. A caller counts for itself, in a shard of the recorder; one
// collector merges the shards on a tick. What comes before and after a wait has
// functions of its own, so that a caller that waits takes 4 KB of stack. net/http
// is left to proxies; which transport carries what is said in the plan and in the
// report.
//
// The pacer asks Due(n), counts, and queues nothing. It waits on a timer that
// the poller knows (a timerfd), and lets everybody else go on when it is late:
// the runtime asks for replies only when nobody has anything to do.
//
// # Who asks
//
// A Target has an auth.Source, which hands out grants: a token, or keys to sign
// with. Method.Encode is pure, and writes what a grant proves into the request.
// A source that has to ask for tokens is given the exchange to ask by; one
// refresh serves all callers, 30 s early. A reply that refuses a grant for its
// age (Reply.TokenExpired) makes the source forget it, and the attempt is made
// once more; that is no retry of the scenario's. When a source has no way to a
// grant any more, it says so at every call, and the run ends.
//
// # The tree, and its floors
//
// A package imports only lower floors, and packages of one floor do not know
// each other. TestFloors holds it.
//
//	7  main
//	6  scenarios/runner      one run, from file to reports
//	5  scenarios             files to plans
//	   report                a run's document to text and JSON
//	   report/live           progress bars
//	3  engine/check          is this reply right; is this run good
//	2  engine/invoke         one timed exchange: transports, phases, retry, limit
//	   engine/cloud          the ways to ask a function: wire formats
//	   engine/record         histograms, counts, the run folder
//	   engine/emulator       a local CloudBase-shaped gateway
//	1  engine                nouns and the loop
//	0  engine/pace           when work is due
//	   engine/group          settle what was fired side by side
//	   engine/auth           secrets to tokens and signatures
//	   engine/self           how the generator itself is doing
//	   scenarios/dataset     rows from files
//	   scenarios/payload     expressions and templates to bodies
//
// Each foreign package has one home, held by the same test: kong in main, mpb
// in report/live, hdrhistogram-go in engine/record, the YAML decoder in
// scenarios, expr in scenarios/payload, golang.org/x/time/rate in
// engine/invoke and engine/emulator, golang.org/x/net/http2/hpack (the code of
// strings in HTTP/2) in engine/invoke, klauspost/compress where files are read
// or written: scenarios/dataset, engine/record.
//
// # What is measured, and from when
//
// An attempt has three times: due (the plan wanted it), start (a connection is
// in hand, or dialling began) and end (the whole reply is read, or it failed).
// In an open run on Linux the kernel notes when a reply has come in, and that is
// its end: how long it lay there until we read it is not the function's. A
// closed run asks as fast as it can, and the noting would cost 5 % of that.
//
//	response = end − due      what a user feels
//	service  = end − start    what the function and the way to it took
//
// The first step of an iteration is due when the iteration is; a later one
// when the one before has settled and its pause is over; every member of a
// group when the group is; a retry when its backoff is over. The gap between
// response and service is split: held (waits that the scenario asked for, a
// browser's preflight and the wait for a token among them) and lateness (all
// the rest, which is our doing). In a closed run an iteration is
// due when its worker is free. Samples are never made up: coordinated omission
// is answered by due alone.
//
// # Invariants
//
// Nothing under engine/ prints, exits, reads the environment or logs. There is
// no init and no mutable package variable. Only auth holds a secret, and its
// types print as [secret]. A Plan does not change after compilation; with a
// seed, two runs fire the same invocations at the same times: randomness is
// keyed by seed, iteration and step, never by worker. Every queue, body, label
// set and retry has a limit, and reaching it is counted. Whoever starts a
// goroutine waits for it. Histograms are merged, never averaged. Every number
// in a file has its unit in its name.
package engine
