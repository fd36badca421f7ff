package scenarios

import (
	"strings"
	"testing"

	"volley/engine"
)

// planOf returns what the plan says, without the resolved scenario.
func planOf(t *testing.T, src string, o Options) string {
	t.Helper()
	var b strings.Builder
	if err := Explain(mustLoad(t, src, o), &b); err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(b.String(), "\n\n")
	return head
}

// words joins lines, so that wrapping does not matter.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestCost(t *testing.T) {
	c := mustLoad(t, emulated+"cost: {price_gb_s: 0.5, price_per_million: 2, budget: 7.5}\nsteps: [{invoke: hello}]", Options{NoLoad: true})
	if want := (engine.Cost{PerGBSecond: 0.5, PerMillion: 2, MemoryBytes: 256 << 20, Budget: 7.5}); c.Plan.Cost == nil || *c.Plan.Cost != want {
		t.Errorf("cost %+v, want %+v", c.Plan.Cost, want)
	}
	c = mustLoad(t, emulated+"cost: {price_gb_s: 0.5, memory: 1GiB}\nsteps: [{invoke: hello}]", Options{NoLoad: true})
	if c.Plan.Cost.MemoryBytes != 1<<30 || c.Plan.Cost.Budget != 0 {
		t.Errorf("cost %+v", c.Plan.Cost)
	}
	if c := mustLoad(t, emulated+"steps: [{invoke: hello}]", Options{NoLoad: true}); c.Plan.Cost != nil {
		t.Error("a cost without prices")
	}
}

func TestEstimate(t *testing.T) {
	const (
		open   = "load: {rate: 100/s, for: 10s}\n"
		prices = "cost: {price_gb_s: 0.01, price_per_million: 1, memory: 1GiB, currency: EUR}\n"
	)
	tests := []struct {
		name, load, cost, steps string
		want                    []string
	}{
		{"a number that is known", open, prices, "[{invoke: hello}, {invoke: world, timeout: 3s}]", []string{
			"cost 2000 invocations, 0.00200 EUR by their number", // 2000 × 1e-6
			"2.00 EUR for every 100 ms",                          // 2000 × 0.1 × 0.01
			"together 0.0220 EUR at 1 ms each, 200 EUR at 10s",   // 0.002 + 2000 × 0.001 × 0.01, 0.002 + 2000 × 10 × 0.01
		}},
		{"a warm-up is paid, too", "load: {rate: 100/s, for: 10s, warmup: 10s}\n", prices, "[{invoke: hello}]", []string{
			"cost 2000 invocations", "what is fired in the warm-up is in it"}},
		{"a pick is the same whichever is taken", open, prices, "[{pick: [{invoke: hello}, {invoke: world}]}]", []string{"cost 1000 invocations"}},
		{"a pick of more or less", open, prices, "[{pick: [{invoke: hello}, {all: [{invoke: hello}, {invoke: world}]}]}]", []string{
			"cost 1000 to 2000 invocations, 0.00100 EUR to 0.00200 EUR", "at most 2.00 EUR for every 100 ms"}},
		{"a condition that may never hold", open, prices, "[{invoke: hello, when: \"iteration > 5\"}]", []string{"cost at most 1000 invocations", "together at most"}},
		{"a list of unknown length beside a step", open, prices, "[{invoke: hello}, {each: \"${{ [1] }}\", all: [{invoke: world}]}]", []string{
			"cost at least 1000 invocations", "together at least"}},
		{"a list of unknown length", open, prices, "[{each: \"${{ [1] }}\", all: [{invoke: world}]}]", []string{"cost unknown", "a million of them cost 1.00 EUR"}},
		{"workers that a count ends", "load: {workers: 5, iterations: 300}\n", prices, "[{invoke: hello}]", []string{"cost at most 300 invocations"}},
		{"workers for a time", "load: {workers: 5, for: 3s}\n", prices, "[{invoke: hello}]", []string{"cost unknown"}},
		{"retries", open, prices, "[{invoke: hello, retry: {}}]", []string{"cost 1000 invocations", "retries come on top"}},
		{"a price of the number alone", open, "cost: {price_per_million: 5, budget: 1}\n", "[{invoke: hello}]", []string{
			"cost 1000 invocations, 0.00500 by their number", "the run ends when it has cost 1.00"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := words(planOf(t, emulated+tt.load+tt.cost+"steps: "+tt.steps, Options{}))
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
			if !strings.Contains(tt.cost, "gb_s") && strings.Contains(got, "100 ms") {
				t.Error("compute without a price of it")
			}
		})
	}
}

// TestExplainOrigins holds that the plan says where things came from that the
// scenario does not name.
func TestExplainOrigins(t *testing.T) {
	o := Options{
		NoLoad: true, DefaultEnv: "e-1", DefaultRegion: "ap-guangzhou", DefaultsFrom: "cloudbaserc.json", Env: secretsEnv(),
		Ambient: func(string) (Auth, string, error) { return Auth{Anonymous: true}, "a test", nil },
	}
	got := words(planOf(t, "steps: [{invoke: hello, data: {key: \"${ONE}\"}}]", o))
	for _, want := range []string{
		"hello by http-api, with anonymous", "in the environment e-1, region ap-guangzhou", "the environment is from cloudbaserc.json",
		"the region is from cloudbaserc.json", "the credentials are from a test", "tokens anonymous: made at e-1.api.tcloudbasegateway.com",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	got = words(planOf(t, "target: {env: e-1, region: ap-shanghai, auth: {api_key: \"${ONE}\"}}\nsteps: [{invoke: hello, data: {a: 1, key: \"0123456789012345678901234567890123${ONE}\"}}]", o))
	if !strings.Contains(got, `sends {"a": 1, "key": "`) || strings.Contains(got, "one-v") {
		t.Errorf("a payload with a part of a secret, or none:\n%s", got)
	}
	if strings.Contains(got, "is from") || strings.Contains(got, "are from") {
		t.Errorf("the scenario says it all:\n%s", got)
	}
}
