// The other way round: volley, by its method web, calls functions that the
// vendor's own framework serves from web/.

import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {readFile, writeFile} from 'node:fs/promises'
import {createServer} from 'node:net'
import {join} from 'node:path'
import {ended, environment, here, started} from './suite.mjs'

const account = 'user1:a-password'

// freePort asks the system for a port that nobody listens on.
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const {port} = server.address()
  server.close()
  await once(server, 'close')
  return port
}

// serve starts the framework and waits until it answers: one request at a time,
// each for a second at most, for one account only.
async function serve(scratch) {
  const port = await freePort()
  const endpoint = `http://127.0.0.1:${port}`
  const child = started(spawn(process.execPath, [
    join(here, 'node_modules/@cloudbase/functions-framework/bin/tcb-ff.js'),
    `--port=${port}`, '--gracefulShutdown=false', `--logDirname=${join(scratch, 'logs')}`,
    '--timeout=1000', '--concurrencyLimit=1', `--allowedAccounts=${account}`,
  ], {cwd: join(here, 'web'), env: environment(scratch), stdio: ['ignore', 'pipe', 'pipe']}))
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', text => { said = (said + text).slice(-4000) })
  for (const until = Date.now() + 30_000; ;) {
    const up = await fetch(`${endpoint}/_healthz`, {method: 'HEAD', signal: AbortSignal.timeout(2000)}).then(() => true, () => false)
    if (up) return {endpoint, child}
    if (child.exitCode !== null || Date.now() > until) {
      child.kill('SIGKILL')
      throw new Error(`the framework does not answer at ${endpoint}:\n${said}`)
    }
    await new Promise(done => setTimeout(done, 100))
  }
}

// invoke has volley invoke fn once, and says what its report says came of it.
async function invoke(volley, scratch, endpoint, fn, credentials) {
  const [scenario, report] = [join(scratch, 'web.yaml'), join(scratch, 'web.json')]
  await writeFile(scenario, JSON.stringify({
    name: 'web',
    target: {method: 'web', endpoint, headers: {Authorization: 'Basic ${BASIC}'}},
    load: {workers: 1, iterations: 1},
    steps: [{invoke: fn, http: {method: 'POST', path: `/${fn}`}, data: {name: '世界'}, check: fn === 'hello' ? ['status != 200 || body.greeting == "Hello, 世界"'] : undefined}],
  }))
  const child = started(spawn(volley, ['run', scenario, '--quiet', '--out', join(scratch, `web-${Date.now()}`), '--format', `json=${report}`],
    {env: environment(scratch, {BASIC: Buffer.from(credentials).toString('base64')}), stdio: ['ignore', 'ignore', 'pipe']}))
  let said = ''
  child.stderr.on('data', text => { said = (said + text).slice(-2000) })
  await ended(child, 30_000, 'volley')
  const {total, errors} = JSON.parse(await readFile(report, 'utf8').catch(() => { throw new Error(`volley wrote no report: ${said}`) }))
  const outcomes = Object.entries(total.outcomes).filter(([, n]) => n > 0).map(([name]) => name)
  return [...outcomes, ...Object.keys(total.statuses), ...errors.map(({code}) => code).filter(Boolean)].join(' ')
}

// framework returns a line of the table for each case, with what came of it.
export async function framework(volley, scratch) {
  const {endpoint, child} = await serve(scratch)
  const lines = []
  const line = async (name, want, fn, credentials = account) => {
    const came = await invoke(volley, scratch, endpoint, fn, credentials)
    lines.push([{sdk: 'volley web', credential: 'framework', name, want}, came])
  }
  try {
    await line('value', 'ok 200', 'hello')
    await line('function missing', 'rejected 404', 'missing')
    await line('function error', 'platform_error 500 SYS_ERR', 'fails') // the framework's code for it is the platform's
    await line('bad credentials', 'auth_failed 401', 'hello', 'user1:not the password')
    await line('timeout', 'platform_error 500 SERVER_TIMEOUT', 'slow')
    // The function goes on after its time is up, and takes the only place.
    await line('throttled', 'throttled 429 TOO_MANY_REQUESTS', 'hello')
  } finally {
    child.kill('SIGTERM')
    await ended(child, 5000, 'the framework').catch(() => {})
  }
  return lines
}
