// Settles nested groups with JavaScript's own Promise.all, allSettled, any and
// race, and prints how they settled. It is the judge of package group.
//
//   node oracle.mjs < cases.json > expected.json
//
// In, one case per line of a JSON array: {"name": "c001", "root": NODE}, where a NODE is
//
//   {"id": "a1", "delay_ms": 5, "ok": true, "value": 7}      a leaf: settles so long after it was started
//   {"id": "g1", "kind": "all", "members": [NODE, ...]}      or all_settled, any, race: members start together
//   {"id": "s1", "kind": "sequence", "members": [NODE, ...]} one after the other; the first rejection ends it
//
// Out, in the same order: {"name": "c001", "state": "fulfilled", "value": V, "at_ms": 5, "order": ORDER}, or
// "state": "rejected" with an "error", or "state": "pending" with neither error nor at_ms.
//
//   value   of a leaf its own; of all and sequence a list; of all_settled a list of {status, value} and
//           {status, reason}; of any and race the one member's
//   error   of a leaf its id; of any {"errors": [ERROR, ...]} in the members' order (an AggregateError)
//   order   every node that settled, also after the root had: [id, at_ms, state]. Nodes that settle at one
//           instant stand in post-order of the tree (members before their group, earlier members first),
//           because the number of microtasks between them is nobody's contract.
//
// Time is virtual: delays are exact and cost nothing.

import {pathToFileURL} from 'node:url'

const combinators = {all: 'all', all_settled: 'allSettled', any: 'any', race: 'race'}

// A clock runs timers in the order of their times, and all microtasks that
// follow from one before the next.
function newClock() {
  const timers = []
  const clock = {now: 0}
  clock.after = ms => new Promise(done => timers.push({at: clock.now + ms, done}))
  clock.run = async () => {
    const settle = () => new Promise(setImmediate) // an immediate runs when no microtask is left
    await settle()
    while (timers.length > 0) {
      const next = timers.reduce((a, b) => (b.at < a.at ? b : a))
      timers.splice(timers.indexOf(next), 1)
      clock.now = next.at
      next.done()
      await settle()
    }
  }
  return clock
}

// describe turns what a promise was rejected with into JSON.
function describe(error) {
  return error instanceof AggregateError ? {errors: error.errors.map(describe)} : error.message
}

// plain makes a value's nested rejections (of all_settled) JSON as well.
function plain(value) {
  if (Array.isArray(value)) return value.map(plain)
  if (value?.status === 'rejected') return {status: value.status, reason: describe(value.reason)}
  if (value?.status === 'fulfilled') return {status: value.status, value: plain(value.value)}
  return value
}

// settle plays one case and returns how it ended. rank is post-order.
export async function settle({name, root}) {
  const clock = newClock()
  const order = []
  const ranks = new Map()
  const rank = node => {
    node.members?.forEach(rank)
    if (ranks.has(node.id)) throw new Error(`${name}: two nodes have the id ${node.id}`)
    ranks.set(node.id, ranks.size)
  }
  rank(root)

  async function leaf(node) {
    await clock.after(node.delay_ms)
    if (!node.ok) throw new Error(node.id)
    return node.value
  }
  async function sequence(node) {
    const values = []
    for (const member of node.members) values.push(await start(member))
    return values
  }
  function start(node) {
    let promise
    if (node.kind === undefined) promise = leaf(node)
    else if (node.kind === 'sequence') promise = sequence(node)
    else if (node.kind in combinators) promise = Promise[combinators[node.kind]](node.members.map(start))
    else throw new Error(`${name}: node ${node.id} is of kind ${JSON.stringify(node.kind)}`)
    const note = state => () => order.push([node.id, clock.now, state])
    promise.then(note('fulfilled'), note('rejected'))
    return promise
  }

  const end = {name, state: 'pending'}
  start(root).then(
    value => Object.assign(end, {state: 'fulfilled', value: plain(value), at_ms: clock.now}),
    error => Object.assign(end, {state: 'rejected', error: describe(error), at_ms: clock.now}))
  await clock.run()
  order.sort((a, b) => a[1] - b[1] || ranks.get(a[0]) - ranks.get(b[0]))
  return {...end, order}
}

// lines writes a list as JSON with one element per line, for readable differences.
export function lines(list) {
  return `[\n${list.map(x => JSON.stringify(x)).join(',\n')}\n]\n`
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  let text = ''
  for await (const chunk of process.stdin) text += chunk
  const ends = []
  for (const c of JSON.parse(text)) ends.push(await settle(c))
  process.stdout.write(lines(ends))
}
