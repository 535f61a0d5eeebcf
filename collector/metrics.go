package collector

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/passmuster/muster"
)

// scrapeTimeout bounds what one scrape asks the store.
const scrapeTimeout = 10 * time.Second

// commits observes the transactions of ingest.
type commits struct {
	seconds, reports prometheus.Histogram
	failures         prometheus.Counter
}

func newCommits() commits {
	return commits{
		prometheus.NewHistogram(prometheus.HistogramOpts{Name: "muster_ingest_commit_seconds", Help: "How long transactions of reports took.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		prometheus.NewHistogram(prometheus.HistogramOpts{Name: "muster_ingest_commit_reports", Help: "Reports in a transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9)}),
		prometheus.NewCounter(prometheus.CounterOpts{Name: "muster_ingest_commit_failures_total", Help: "Transactions of reports that failed."}),
	}
}

func (c commits) note(reports int, took time.Duration, err error) {
	if err != nil {
		c.failures.Inc()
		return
	}
	c.seconds.Observe(took.Seconds())
	c.reports.Observe(float64(reports))
}

// metricsHandler answers in Prometheus' text format. What it tells is of the whole
// state: counts, and no names.
func (c *Collector) metricsHandler() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(scrape{c}, c.commits.seconds, c.commits.reports, c.commits.failures,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 2, Timeout: 2 * scrapeTimeout,
	})
}

// scrape makes up the other metrics when they are asked for.
type scrape struct{ *Collector }

// Describe gives nothing: which metrics there are depends on what answers.
func (scrape) Describe(chan<- *prometheus.Desc) {}

// Collect gives what can be had; of a store that does not answer, muster_database_up 0.
func (s scrape) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	p := printer{to}
	p.gauge("muster_build_info", "Version of the collector.", 1, "version", muster.Version, "go", runtime.Version())
	if s.databaseMetrics(ctx, p) {
		s.hostMetrics(ctx, p)
	}
	s.ingestMetrics(p)
	s.jobMetrics(p)
	if s.Tailnet != nil {
		status := s.Tailnet.Status(ctx)
		p.gauge("muster_tailnet_up", "1 where the collector is in its tailnet.", truth(status.State == tailnetRunning))
		if !status.KeyExpires.IsZero() {
			p.gauge("muster_tailnet_key_expires_timestamp_seconds", "When the collector must sign in to its tailnet again.", float64(status.KeyExpires.Unix()))
		}
	}
	if free, err := freeBytes(s.Data); err == nil {
		p.gauge("muster_data_free_bytes", "Space left for the data folder.", float64(free))
	}
}

func (s scrape) databaseMetrics(ctx context.Context, p printer) (up bool) {
	begin := time.Now()
	err := s.store.Ping(ctx)
	p.gauge("muster_database_up", "1 where the database answers.", truth(err == nil))
	if err != nil {
		s.Logger.Warn("database does not answer a scrape", "error", err)
		return false
	}
	p.gauge("muster_database_ping_seconds", "How long the database took to answer.", time.Since(begin).Seconds())
	if about, err := s.store.About(ctx); err == nil {
		p.gauge("muster_database_size_bytes", "Size of the database on disk.", float64(about.Bytes))
	}
	return true
}

func (s scrape) hostMetrics(ctx context.Context, p printer) {
	counties, err := s.store.Counties(ctx, muster.View{})
	if err != nil {
		s.Logger.Warn("hosts not counted for a scrape", "error", err)
		return
	}
	var all muster.CountyStanding
	for _, k := range counties {
		all.Add(k)
	}
	p.gauge("muster_counties", "Counties that have a host, or expect one.", float64(len(counties)))
	for state, n := range map[string]int{"meeting": all.Meeting, "failing": all.Failing, "unknown": all.Unknown,
		"stale": all.Stale, "pending": all.Pending, "missing": all.Missing} {
		p.gauge("muster_hosts", "Hosts by where they stand.", float64(n), "state", state)
	}
}

func (s scrape) ingestMetrics(p printer) {
	for code, n := range s.stats.Reports.Counts() {
		p.counter("muster_ingest_reports_total", "Reports by what became of them.", float64(n), "code", code)
	}
	for code, n := range s.stats.Refused.Counts() {
		p.counter("muster_ingest_refused_total", "Requests of hosts that were turned away, by why.", float64(n), "code", code)
	}
	p.counter("muster_ingest_received_bytes_total", "Bytes of reports as they came.", float64(s.stats.Bytes.Load()))
	p.gauge("muster_ingest_held_bytes", "Bytes of reports that wait to be stored.", float64(s.stats.Held.Load()))
	p.gauge("muster_ingest_waiting", "Parts of batches that wait to be stored.", float64(s.stats.Waiting.Load()))
}

func (s scrape) jobMetrics(p printer) {
	failures, last := s.history.read()
	for job, n := range failures {
		p.counter("muster_job_failures_total", "Jobs of this process that failed.", float64(n), "job", job)
	}
	for job, at := range last {
		p.gauge("muster_job_last_success_timestamp_seconds", "When a job of this process last went well.", float64(at.Unix()), "job", job)
	}
}

// printer writes metrics with labels as name, value, name, value.
type printer struct{ to chan<- prometheus.Metric }

func (p printer) gauge(name, help string, value float64, labels ...string) {
	p.write(prometheus.GaugeValue, name, help, value, labels)
}

func (p printer) counter(name, help string, value float64, labels ...string) {
	p.write(prometheus.CounterValue, name, help, value, labels)
}

func (p printer) write(kind prometheus.ValueType, name, help string, value float64, labels []string) {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	d := prometheus.NewDesc(name, help, names, nil)
	m, err := prometheus.NewConstMetric(d, kind, value, values...)
	if err != nil {
		m = prometheus.NewInvalidMetric(d, err)
	}
	p.to <- m
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
