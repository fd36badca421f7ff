// Reads a run's series.hlog with hdr-histogram-js, which shares no code with
// what volley writes it with.
//
//   node read.mjs FILE.hlog     prints {TAG: {count, min, max, p50, p90, p99, p999}}, the seconds of a tag merged

import {readFile} from 'node:fs/promises'
import {pathToFileURL} from 'node:url'
import hdr from 'hdr-histogram-js'

// The range of volley's histograms: 1 us to 1 h with three digits. Counts are
// doubles, so that none wraps.
const range = {bitBucketSize: 64, lowestDiscernibleValue: 1, highestTrackableValue: 3_600_000_000, numberOfSignificantValueDigits: 3}

// merged returns an empty histogram, or one with all of list in it.
export function merged(list) {
  const sum = hdr.build(range)
  for (const h of list) sum.add(h)
  return sum
}

// least returns the smallest value of h, of which the library leaves out zero.
export function least(h) {
  return h.getCountAtIndex(0) > 0 ? 0 : h.minNonZeroValue
}

// readLog merges a log's histograms by tag.
export function readLog(text) {
  if (!text.startsWith('#[Histogram log format version 1.3]')) throw new Error(`the first line is not that of a log of version 1.3: ${JSON.stringify(text.slice(0, 80))}`)
  const reader = new hdr.HistogramLogReader(text, 64)
  const byTag = new Map()
  let lines = 0
  for (let h; (h = reader.nextIntervalHistogram()) !== null; lines++) {
    if (!byTag.has(h.tag)) byTag.set(h.tag, merged([]))
    byTag.get(h.tag).add(h)
  }
  // The reader skips what it does not understand, so count.
  const want = text.split('\n').filter(l => l !== '' && !l.startsWith('#') && !l.startsWith('"')).length
  if (lines !== want) throw new Error(`${lines} of ${want} interval lines could be read`)
  return byTag
}

// parseTag takes a tag apart: "step=a%20b;method=web;...;time=response;class=ok" as an
// object of strings. It is the one place here that knows how volley writes tags.
export function parseTag(tag) {
  return Object.fromEntries(tag.split(';').map(part => {
    const at = part.indexOf('=')
    return [part.slice(0, at), decodeURIComponent(part.slice(at + 1))]
  }))
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const out = {}
  for (const [tag, h] of readLog(await readFile(process.argv[2], 'utf8'))) {
    const p = q => h.getValueAtPercentile(q)
    out[tag] = {count: h.totalCount, min: least(h), max: h.maxValue, p50: p(50), p90: p(90), p99: p(99), p999: p(99.9)}
  }
  console.log(JSON.stringify(out, null, 1))
}
