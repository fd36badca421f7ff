// Starts the function under CloudBase's framework, load-tests it with volley,
// and holds volley's report against what the function itself counted.
//
//   npm ci && node test.mjs [VOLLEY]     VOLLEY is the binary; default ../../volley
//
// Exit code 0 and one line when both agree; 1 and every difference otherwise.

import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtemp, readFile, rm} from 'node:fs/promises'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {dirname, join, resolve} from 'node:path'
import {fileURLToPath} from 'node:url'
import {isDeepStrictEqual} from 'node:util'

const here = dirname(fileURLToPath(import.meta.url))
const volley = resolve(process.argv[2] ?? join(here, '../../volley'))

// freePort asks the system for a port that nobody listens on.
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const {port} = server.address()
  server.close()
  await once(server, 'close')
  return port
}

// serve starts the framework and waits until it answers.
async function serve(scratch) {
  const port = await freePort()
  const endpoint = `http://127.0.0.1:${port}`
  const framework = spawn(process.execPath, [
    join(here, 'node_modules/@cloudbase/functions-framework/bin/tcb-ff.js'),
    `--port=${port}`, '--gracefulShutdown=false', `--logDirname=${join(scratch, 'logs')}`,
  ], {cwd: here, stdio: ['ignore', 'pipe', 'pipe']})
  let said = ''
  for (const stream of [framework.stdout, framework.stderr]) stream.on('data', text => { said = (said + text).slice(-4000) })
  for (const until = Date.now() + 30_000; ;) {
    if (framework.exitCode !== null) throw new Error(`the framework ended with ${framework.exitCode}:\n${said}`)
    if (Date.now() > until) {
      framework.kill('SIGKILL')
      throw new Error(`the framework does not answer at ${endpoint} after 30 s:\n${said}`)
    }
    const up = await fetch(`${endpoint}/_healthz`, {method: 'HEAD'}).then(r => r.ok, () => false)
    if (up) return {endpoint, framework}
    await new Promise(done => setTimeout(done, 100))
  }
}

// count asks the function what it has answered so far.
async function count(endpoint) {
  const reply = await fetch(`${endpoint}/__count`)
  if (!reply.ok) throw new Error(`GET /__count: status ${reply.status}`)
  return reply.json()
}

// minus returns what was added between two maps of counts, without zeroes.
function minus(after, before) {
  return Object.fromEntries(Object.entries(after)
    .map(([key, n]) => [key, n - (before[key] ?? 0)])
    .filter(([, n]) => n !== 0))
}

// fire runs the scenario and returns volley's exit code and report.
async function fire(endpoint, scratch) {
  const file = join(scratch, 'report.json')
  const child = spawn(volley, ['run', join(here, 'scenario.yaml'), '--quiet', '--out', join(scratch, 'run'), '--format', `json=${file}`],
    {env: {...process.env, REAL_ENDPOINT: endpoint}, stdio: 'inherit'})
  const [code] = await once(child, 'exit')
  return {code, report: JSON.parse(await readFile(file, 'utf8'))}
}

const scratch = await mkdtemp(join(tmpdir(), 'volley-real-function-'))
const wrong = []
const equal = (what, got, want) => {
  if (!isDeepStrictEqual(got, want)) wrong.push(`${what}: volley says ${JSON.stringify(got)}, expected ${JSON.stringify(want)}`)
}
let framework
try {
  const served = await serve(scratch)
  framework = served.framework
  // Not from zero, so that a report which merely repeats the function's count is caught.
  await fetch(`${served.endpoint}/price`, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{"sku":"A1"}'})
  const before = await count(served.endpoint)
  const {code, report} = await fire(served.endpoint, scratch)
  const after = await count(served.endpoint)

  const {total, validity, load} = report
  const ends = minus(after.ends, before.ends)
  equal('exit code', code, 0)
  equal('exit_code in the report', report.exit_code, 0)
  if (!['valid', 'degraded'].includes(validity.verdict)) wrong.push(`the verdict is ${validity.verdict}: ${validity.reasons.join('; ')}`)
  equal('invocations', total.count, after.total - before.total)
  equal('statuses', total.statuses, minus(after.statuses, before.statuses))
  equal('ok', total.outcomes.ok, total.statuses[200])
  equal('rejected', total.outcomes.rejected, total.statuses[404])
  // The framework gives a function that threw the code SYS_ERR, which is a code of
  // the platform's, and codes go before statuses.
  equal('platform_error', total.outcomes.platform_error, ends.threw)
  equal('function_error', total.outcomes.function_error, total.statuses[500] - ends.threw)
  equal('iterations sent', load.sent, 500)
  equal('invocations of 500 iterations of three', total.count, 1500)
  equal('service samples', total.service.all.count, total.count)
  equal('a lookup of 5 ms took 5 ms at least (timers may round down by one)', total.service.ok.min_us >= 4000, true)
  for (const status of [404, 500]) if (!(total.statuses[status] > 0)) wrong.push(`no reply had status ${status}: the scenario has lost its bad orders`)

  if (wrong.length === 0) {
    console.log(`real-function: volley and the function agree on ${total.count} invocations, ${JSON.stringify(total.statuses)}; ` +
      `service p50 ${total.service.all.p50_us} us, p99 ${total.service.all.p99_us} us; ${validity.verdict}`)
  }
} catch (error) {
  wrong.push(error.stack)
} finally {
  if (framework && framework.exitCode === null) {
    framework.kill('SIGTERM')
    const late = setTimeout(() => framework.kill('SIGKILL'), 5000)
    await once(framework, 'exit')
    clearTimeout(late)
  }
  await rm(scratch, {recursive: true, force: true})
}
for (const line of wrong) console.error(`real-function: ${line}`)
process.exitCode = wrong.length === 0 ? 0 : 1
