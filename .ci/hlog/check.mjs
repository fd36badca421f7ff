// Holds a run's report.json against its series.hlog, as another implementation
// of HdrHistogram reads it: counts, means, extremes and every percentile.
//
//   node check.mjs RUN-FOLDER
//
// Exit code 0 and one line when they agree; 1 and every difference otherwise.

import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {least, merged, parseTag, readLog} from './read.mjs'

const folder = process.argv[2]
const report = JSON.parse(await readFile(join(folder, 'report.json'), 'utf8'))
const log = [...readLog(await readFile(join(folder, 'series.hlog'), 'utf8'))].map(([tag, hist]) => ({...parseTag(tag), hist}))

const wrong = []
let compared = 0

// select merges what was logged under the tags that have these parts; the
// warm-up is not in any result.
function select(parts) {
  return merged(log
    .filter(l => l.phase !== 'warmup' && Object.entries(parts).every(([key, value]) => (l[key] ?? '') === value))
    .map(l => l.hist))
}

// compare holds one distribution of the report against what was logged.
function compare(what, said, h) {
  const n = h.totalCount
  if ((said.count ?? 0) !== n) {
    wrong.push(`${what}.count: the report says ${said.count}, the log has ${n}`)
    return
  }
  if (n === 0) return
  compared++
  // Two implementations agree on buckets; within one they may name its lower or upper end.
  const bucket = (field, value) => {
    if (h.countsArrayIndex(said[field]) !== h.countsArrayIndex(value)) wrong.push(`${what}.${field}: the report says ${said[field]}, the log ${value}`)
  }
  bucket('min_us', least(h))
  bucket('max_us', h.maxValue)
  if (Math.abs(said.mean_us - h.mean) > 1 + h.mean / 1000) wrong.push(`${what}.mean_us: the report says ${said.mean_us}, the log ${h.mean}`)
  const percentiles = Object.keys(said).map(field => ({field, name: /^p(\d+)(?:_(\d+))?_us$/.exec(field)})).filter(p => p.name)
  for (const {field, name} of percentiles) bucket(field, h.getValueAtPercentile(Number(`${name[1]}.${name[2] ?? 0}`)))
  if (percentiles.length < 5) wrong.push(`${what}: the report shows ${percentiles.length} percentiles of ${n} samples, want p50, p75, p90, p95 and p99 at least`)
}

// compareTimes goes through response and service of all, ok and failed.
function compareTimes(what, said, parts) {
  for (const time of ['response', 'service']) {
    for (const classed of ['all', 'ok', 'failed']) {
      compare(`${what}.${time}.${classed}`, said[time]?.[classed] ?? {}, select({...parts, time, ...(classed === 'all' ? {} : {class: classed})}))
    }
  }
}

compareTimes('total', report.total, {kind: 'invocation'})
for (const s of report.series) {
  const series = {step: s.step, method: s.method, qualifier: s.qualifier, arm: s.arm ?? ''}
  compareTimes(`series ${s.step}`, s, {...series, kind: 'invocation'})
  // Phases are of attempts, also where a step retries.
  for (const phase in s.phases) compare(`series ${s.step}.phases.${phase}`, s.phases[phase], select({...series, time: phase.replace(/_us$/, '')}))
}
for (const g of report.groups ?? []) {
  for (const time of ['first', 'settle', 'makespan']) {
    compare(`group ${g.step}.${time}_us`, g[`${time}_us`], select({kind: 'group', step: g.step, time}))
  }
}
compare('load.lateness', report.load.lateness, select({kind: 'run', time: 'lateness'}))
if (report.series.length === 0 || compared < 6) wrong.push(`only ${compared} distributions could be compared: the run is too small to tell anything`)

for (const line of wrong) console.error(`hlog: ${line}`)
if (wrong.length === 0) console.log(`hlog: ${compared} distributions of ${report.total.count} invocations read the same with hdr-histogram-js`)
process.exitCode = wrong.length === 0 ? 0 : 1
