// A small shop as one HTTP function. It counts what it answered, so that a load
// test's report can be held against it: GET /__count (itself not counted).
//
//   POST /price    {"sku": "A3"}                 200 {"code": 0, "cents": 300}, or 404 for an unknown sku
//   POST /orders   {"sku": "A3", "quantity": 2}  200 {"code": 0, "total": 600}; over 99 it says 500 itself, and 0 makes it throw

const answered = {total: 0, statuses: {}, ends: {}}

// count notes a reply: its status, and whether the function returned or threw.
function count(status, end) {
  answered.total++
  answered.statuses[status] = (answered.statuses[status] ?? 0) + 1
  answered.ends[end] = (answered.ends[end] ?? 0) + 1
}

const sleep = ms => new Promise(done => setTimeout(done, ms))

// cents looks a price up, as slowly as a small database would.
async function cents(sku) {
  await sleep(5)
  const digit = /^A([1-9])$/.exec(sku)?.[1]
  return digit && Number(digit) * 100
}

function reply(status, body) {
  return {statusCode: status, headers: {'Content-Type': 'application/json'}, body}
}

async function answer(path, event) {
  const price = await cents(event.sku)
  if (price === undefined) return reply(404, {message: `no product ${event.sku}`})
  switch (path) {
    case '/price':
      return reply(200, {code: 0, cents: price})
    case '/orders':
      if (event.quantity < 1) throw new Error(`an order of ${event.quantity}`) // the framework makes it a 500 with the code SYS_ERR
      if (event.quantity > 99) return reply(500, {message: 'the warehouse is closed'})
      return reply(200, {code: 0, total: price * event.quantity})
    default:
      return reply(404, {message: `nothing at ${path}`})
  }
}

export async function main(event, context) {
  const path = new URL(context.httpContext.url).pathname
  if (path === '/__count') return answered
  try {
    const made = await answer(path, event)
    count(made.statusCode, 'returned')
    return made
  } catch (error) {
    count(500, 'threw')
    throw error
  }
}
