// Makes the same call by a vendor's SDK and by volley, both recorded by the
// emulator, and compares the two requests field by field.
//
//   npm ci --ignore-scripts && node compare.mjs [VOLLEY]     VOLLEY is the binary; default ../../volley
//
// Prints every comparison; exit code 1 on a difference that is not in `allowed`.

import {spawn} from 'node:child_process'
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join, resolve} from 'node:path'
import {pathToFileURL} from 'node:url'
import {literals} from './literals.mjs'
import {bounded, call, emulate, ended, env, environment, given, here, recorder, started} from './suite.mjs'

// allowed are the differences that are meant, by field: always, or where the row
// matches; each with its reason.
const allowed = [
  {field: /^query (seqId|eventId)$/, values: true, reason: 'a nonce'},
  {field: /^body (seqId|eventId)$/, values: true, reason: 'a nonce'},
  {field: /^header (X-Request-Id|X-Seqid)$/, values: true, reason: 'a nonce'},
  {field: /^header (X-Client-Timestamp|X-Timestamp|X-Tc-Timestamp)$|^Authorization Timestamp$/, values: true, reason: 'a time'},
  {field: /^header User-Agent$/, reason: 'who asks'},
  {field: /^header (Connection|Accept-Encoding|Accept|Content-Length)$/, reason: 'of the connection, not of the call'},
  {field: /^header (Origin|Referer|Sec-Fetch-Mode)$/, row: /^js-sdk-\d /, reason: 'what a browser, or its fetch, adds'},
  {field: /^header Accept-Language$/, row: /^js-sdk-1 /, reason: 'the browser adds it: 1.x itself has none'},
  {field: /^header X-Device-Id$/, row: /signing in/, values: true, reason: 'a device of one\'s own'},
  {field: /^header (Accept-Language|X-Request-Id|X-Sdk-Version|Content-Type)$/, row: /signing in/, reason: 'volley signs in as is documented for everybody: JSON, and who the device is'},
  {field: /^URL$/, row: /^js-sdk-2 signing in/, reason: '2.x has the same sign-in at the host of /web; the gateway is what is documented'},
  {field: /^header (Accept-Language|X-Client-Timestamp|X-Request-Id|X-Sdk-Version|X-Tcb-Region|X-Tcb-Source)$|^Authorization SignedHeaders$/, row: /^js-sdk-3 node /,
    reason: 'the library adds and signs more than is documented'},
  {field: /^header Content-Type$/, row: /^js-sdk-3 node /, reason: 'JSON either way, signed either way'},
  {field: /^body (names|as it is|envName)$/, row: /^js-sdk-3 node with (secret|session)/, reason: 'the library puts envName into the event where it signs; volley leaves events alone'},
]

// keys are volley's auth for each credential.
const keys = {
  'secret pair': {secret_id: '${SECRET_ID}', secret_key: '${SECRET_KEY}'},
  'session token': {secret_id: '${SESSION_ID}', secret_key: '${SESSION_KEY}', session_token: '${SESSION_TOKEN}'},
  'API key': {api_key: '${API_KEY}'},
  'access key': {publishable_key: '${PUBLISHABLE_KEY}'},
  anonymous: {anonymous: true},
  password: {username: '${USERNAME}', password: '${PASSWORD}'},
}

// methods are volley's target for what an SDK does.
const methods = {
  'node-sdk-3': {method: 'node-sdk', node_sdk: {version: 3}},
  'node-sdk-2': {method: 'node-sdk', node_sdk: {version: 2}},
  'js-sdk-3': {method: 'web-sdk', web_sdk: {version: 3}},
  'js-sdk-2': {method: 'web-sdk', web_sdk: {version: 2}},
  'js-sdk-1': {method: 'web-sdk', web_sdk: {version: 1}},
  'js-sdk-3 node': {method: 'http-api'},
  'manager-node': {method: 'control-plane', region: 'ap-shanghai'},
}

const calls = {
  'an object': {data: {name: '世界', empty: '', list: [1, null]}},
  'no data': {},
  'a version': {data: {name: '世界'}, more: {qualifier: '3'}},
}

const rows = [
  ...['node-sdk-3', 'node-sdk-2'].flatMap(sdk => ['secret pair', 'session token'].map(credential => [sdk, credential, ['an object', 'no data', 'a version']])),
  ['node-sdk-3', 'API key', ['an object', 'a version']],
  ...['node-sdk-3', 'js-sdk-3', 'js-sdk-2'].map(sdk => [sdk, sdk === 'node-sdk-3' ? 'secret pair' : 'access key', ['an object'], 'ap-guangzhou']),
  ...['js-sdk-3', 'js-sdk-2'].flatMap(sdk => ['anonymous', 'password', 'access key'].map(credential => [sdk, credential, ['an object', 'no data']])),
  ...['anonymous', 'password'].map(credential => ['js-sdk-1', credential, ['an object', 'no data']]),
  ...['secret pair', 'session token', 'API key'].map(credential => ['js-sdk-3 node', credential, ['an object']]),
  ...['secret pair', 'session token'].map(credential => ['manager-node', credential, ['an object', 'no data']]),
]

// days are today as scopes have it, and yesterday: a run may meet midnight.
const days = () => [0, 86_400_000].map(ago => `/${new Date(Date.now() - ago).toISOString().slice(0, 10)}/`)

// fields takes a recorded request apart: a name and a text for each thing.
function fields(request) {
  const all = new Map([
    ['verb', request.method],
    ['URL', `${request.scheme}://${request.host}${request.path}`],
  ])
  const query = request.query === '' ? [] : request.query.split('&').map(part => part.split('='))
  all.set('query names', query.map(([name]) => name).join('&'))
  for (const [name, value] of query) if (name !== '') all.set(`query ${name}`, value)
  for (const [name, value] of request.headers) {
    if (name !== 'Authorization') {
      all.set(`header ${name}`, value)
      continue
    }
    const [scheme, ...parts] = value.split(/,? /)
    all.set('Authorization scheme', scheme)
    for (const part of parts) {
      const [, key, text] = /^(\w+)=(.*)$/.exec(part) ?? [, 'token', part]
      all.set(`Authorization ${key}`, text.replace(/\/\d{4}-\d\d-\d\d\//, day => days().includes(day) ? '/(today)/' : day))
    }
  }
  let body = request.body
  try {
    body = JSON.parse(request.body)
  } catch {} // text, or nothing
  if (typeof body === 'object' && body !== null) {
    all.set('body as it is', request.body.replace(/("(?:seqId|eventId)":)"[^"]*"/g, '$1"(nonce)"'))
    all.set('body names', Object.keys(body).join(' '))
    for (const [name, value] of Object.entries(body)) all.set(`body ${name}`, typeof value === 'string' ? value : JSON.stringify(value))
  } else {
    all.set('body', request.body)
  }
  return all
}

// compare prints two requests side by side, and returns how many differences
// are not allowed.
function compare(row, theirs, ours) {
  const [a, b] = [fields(theirs), fields(ours)]
  let wrong = 0
  console.log(`\n${row}`)
  for (const name of [...new Set([...a.keys(), ...b.keys()])]) {
    const [x, y] = [a.get(name), b.get(name)]
    if (x === y) {
      console.log(`  =       ${name}: ${x}`)
      continue
    }
    const reason = allowed.find(one => one.field.test(name) && (!one.row || one.row.test(row)) && (!one.values || (x !== undefined && y !== undefined)))?.reason
    if (!reason) wrong++
    console.log(`  ${reason ? 'allowed' : 'DIFFERS'} ${name}: ${x ?? '(none)'} | volley: ${y ?? '(none)'}${reason ? `   (${reason})` : ''}`)
  }
  return wrong
}

// fire has volley make the calls that steps are, by way of the emulator.
async function fire(volley, scratch, emulator, target, steps) {
  const scenario = join(scratch, 'one.yaml')
  await writeFile(scenario, JSON.stringify({name: 'one', target, load: {workers: 1, iterations: 1}, steps}))
  const report = join(scratch, 'one.json')
  const child = started(spawn(volley, ['run', scenario, '--quiet', '--out', join(scratch, `run-${process.hrtime.bigint()}`), '--format', `json=${report}`,
    '--connect-to', `127.0.0.1:${emulator.port}`, '--ca-file', emulator.ca], {env: environment(scratch), stdio: ['ignore', 'ignore', 'pipe']}))
  let said = ''
  child.stderr.on('data', text => { said = (said + text).slice(-2000) })
  await ended(child, 30_000, 'volley')
  const {total} = JSON.parse(await readFile(report, 'utf8').catch(() => { throw new Error(`volley wrote no report of ${JSON.stringify(target)}: ${said}`) }))
  await rm(report)
  if (total.outcomes.ok !== steps.length) throw new Error(`volley's calls of ${JSON.stringify(target)} came to ${JSON.stringify(total.outcomes)}: ${said}`)
}

const sent = lines => lines.filter(({method}) => method !== 'OPTIONS')

// beside compares the calls of one row by the SDK with volley's, and how both
// signed in before, and returns the differences of each pair.
async function beside([sdk, credential, which, region], volley, scratch, emulator, recorded) {
  const came = await call(emulator, scratch, which.map(name => ({sdk, credential, given: {...given, region}, fn: 'hello', timeout: 20_000, ...calls[name]})))
  came.forEach((one, i) => { if (!/^(value|InvokeResult 0) /.test(one)) throw new Error(`${sdk}, ${credential}, ${which[i]}: ${one}`) })
  const theirs = sent(await recorded())
  await fire(volley, scratch, emulator, {env, ...region && {region}, auth: keys[credential], ...methods[sdk]},
    which.map(name => ({invoke: 'hello', ...calls[name].data && {data: calls[name].data}, ...calls[name].more})))
  const ours = sent(await recorded())
  // Sign-in and look-ups come before the calls.
  const differences = which.map((name, i) => compare(`${sdk} with ${credential}, ${name}${region ? `, ${region}` : ''}`,
    theirs.at(i - which.length), ours.at(i - which.length)))
  const signIns = [theirs, ours].map(lines => lines.find(({path}) => path.startsWith('/auth/v1/signin')))
  if (signIns[0]) differences.push(compare(`${sdk} signing in by ${credential}`, ...signIns))
  return differences
}

// literally compares what volley sends with requests that are written out.
async function literally({row, target, step, wanted}, volley, scratch, emulator, recorded) {
  await fire(volley, scratch, emulator, target, [step])
  const ours = await recorded()
  if (ours.length !== wanted.length) throw new Error(`${row}: ${ours.length} requests instead of ${wanted.length}: ${ours.map(({path}) => path)}`)
  return wanted.map((one, i) => compare(`${row}, ${one.method} ${one.path}`, one, ours[i]))
}

// main returns the number of differences.
export async function main(volley) {
  const scratch = await mkdtemp(join(tmpdir(), 'volley-compare-'))
  const differences = []
  let emulator
  try {
    const file = join(scratch, 'record.jsonl')
    emulator = await emulate(volley, scratch, 'compared', ['--record', file])
    const recorded = recorder(emulator, file)
    for (const row of rows) differences.push(...await beside(row, volley, scratch, emulator, recorded))
    for (const row of literals) differences.push(...await literally(row, volley, scratch, emulator, recorded))
  } catch (error) {
    differences.push(1)
    console.error(`compare: ${error.stack}`)
  } finally {
    await emulator?.stop()
    await rm(scratch, {recursive: true, force: true})
  }
  const wrong = differences.reduce((a, b) => a + b, 0)
  console.log(wrong === 0 ? `\ncompare: ${differences.length} pairs of requests are equal` : `\ncompare: ${wrong} differences`)
  return wrong
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  bounded(170)
  process.exitCode = await main(resolve(process.argv[2] ?? join(here, '../../volley'))) === 0 ? 0 : 1
}
