// Prints the cases that oracle.mjs settles: corners by hand, the rest at random
// from a fixed seed.
//
//   node gen.mjs > cases.json
//
// Only cases with one answer are kept: no two leaves settle at the same time,
// and no two members of one group do (JavaScript would count microtasks). A race
// without members, which never settles, stands at the root only.

import {lines, settle} from './oracle.mjs'

const wanted = 700

// random returns mulberry32's generator of numbers in [0, 1).
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const next = random(20261122)
const below = n => Math.floor(next() * n)
const pick = list => list[below(list.length)]

// Names are counted anew in every case.
let leaves, groups, sequences
const leaf = (delay_ms, ok, value) => ({id: `a${++leaves}`, delay_ms, ok, ...(ok ? {value} : {})})
const group = (kind, ...members) => ({id: kind === 'sequence' ? `s${++sequences}` : `g${++groups}`, kind, members})
const good = delay => leaf(delay, true, `v${delay}`)
const bad = delay => leaf(delay, false)

const kinds = ['all', 'all_settled', 'any', 'race']

// corners returns the cases that a person would think of first.
function corners() {
  const made = []
  for (const kind of kinds) {
    made.push(
      () => group(kind),
      () => group(kind, good(5)),
      () => group(kind, bad(5)),
      () => group(kind, good(3), good(2), good(1)),
      () => group(kind, bad(3), bad(2), bad(1)),
      () => group(kind, bad(1), good(2), bad(3)),
      () => group(kind, good(1), bad(2), good(3)),
      () => group(kind, good(3), bad(2), good(4)),
      () => group('sequence', group(kind, good(2), bad(1)), good(4)),
      () => group('sequence', good(1), group(kind, good(4), bad(2)), bad(1), good(1)),
      () => group(kind, group('sequence', good(2), good(3)), good(4)),
      () => group(kind, group('sequence', good(2), bad(1), good(5)), good(4)),
      () => group(kind, group('sequence'), good(4)))
    for (const inner of kinds) {
      made.push(
        () => group(kind, group(inner, good(1), bad(2)), good(3)),
        () => group(kind, group(inner, bad(1), good(2)), bad(3)),
        () => group(kind, group(inner, bad(1), bad(2)), bad(3)))
      if (inner !== 'race') made.push(() => group(kind, group(inner), good(3)), () => group(kind, bad(3), group(inner)))
    }
  }
  made.push(() => group('sequence'), () => good(7), () => bad(7), () => group('all', leaf(1, true, null), leaf(2, true, 0), leaf(3, true, {a: [1]})))
  return made
}

// node draws a tree in which groups nest at most depth deep.
function node(depth, fails) {
  const r = next()
  if (depth === 0 || r < 0.55) return leaf(1 + below(99), next() >= fails, pick([() => below(10), () => `v${below(10)}`, () => null])())
  const size = next() < 0.06 ? 0 : 1 + below(4)
  let kind = pick([...kinds, 'sequence'])
  if (size === 0 && kind === 'race') kind = 'any'
  return group(kind, ...Array.from({length: size}, () => node(depth - 1, fails)))
}

// drawn returns a group of up to five members and three levels.
function drawn() {
  const fails = pick([0, 0.2, 0.5, 0.8, 1])
  const depth = pick([1, 2, 2, 3, 3])
  return group(pick([...kinds, ...kinds, 'sequence']), ...Array.from({length: 1 + below(5)}, () => node(depth - 1, fails)))
}

// decided reports whether only one answer is right.
async function decided(root) {
  const {order} = await settle({name: 'draft', root})
  const at = new Map(order)
  const distinct = nodes => {
    const times = nodes.map(n => at.get(n.id)).filter(t => t !== undefined)
    return new Set(times).size === times.length
  }
  const all = []
  const walk = n => (all.push(n), n.members?.forEach(walk))
  walk(root)
  return distinct(all.filter(n => !n.kind)) && all.every(n => !n.kind || n.kind === 'sequence' || distinct(n.members))
}

const cases = []
const makers = corners()
while (cases.length < wanted) {
  leaves = groups = sequences = 0
  const byHand = makers.shift()
  const root = (byHand ?? drawn)()
  if (await decided(root)) cases.push({name: `c${String(cases.length + 1).padStart(3, '0')}`, root})
  else if (byHand) throw new Error(`a corner has more than one answer: ${JSON.stringify(root)}`)
}
process.stdout.write(lines(cases))
