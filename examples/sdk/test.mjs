// Calls functions of volley's emulator by the vendor's own SDKs, and functions
// of the vendor's own framework by volley: values, and every failure that users
// meet, for every SDK and credential.
//
//   npm ci --ignore-scripts && node test.mjs [VOLLEY]     VOLLEY is the binary; default ../../volley
//
// Prints a line for each SDK, credential and case. What an SDK makes of a reply
// is PROTOCOL.md 4.2 and 5.3. Then compare.mjs. Exit code 1 on any difference.

import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join, resolve} from 'node:path'
import {main as compare} from './compare.mjs'
import {bounded, call, emulate, given, here, pool, recorder, sealed} from './suite.mjs'
import {framework} from './web.mjs'

const volley = resolve(process.argv[2] ?? join(here, '../../volley'))
const wrong = {...given, secretKey: 'not-the-key', sessionToken: 'not-the-token', apiKey: 'not-a-key', publishableKey: 'not-a-key', password: 'not the password'}

// cases are what every SDK calls, by name; sdk.yaml says what the functions do.
const cases = {
  value: {fn: 'hello', data: {name: '世界'}},
  'no data': {fn: 'hello'},
  'function missing': {fn: 'missing'},
  'function error': {fn: 'fails'},
  timeout: {fn: 'slow'},
  throttled: {fn: 'busy'},
  'own code': {fn: 'refuses'},
  'no answer yet': {fn: 'late', timeout: 1000},
  'bad credentials': {fn: 'hello', given: wrong},
}

const hello = 'value {"greeting":"Hello, 世界","got":{"name":"世界"}} (id)'
const refusal = {code: 'OUT_OF_STOCK', message: 'the shelf is empty'}

// A server SDK throws the reply's code; the status is 200.
const nodeSDK = {
  value: hello,
  'no data': /^value \{.*"got":\{\}\} \(id\)$/,
  'function missing': /^thrown TcbError FUNCTION_NOT_FOUND: .* \(id\)$/,
  'function error': /^thrown TcbError FUNCTION_INVOCATION_FAILED: .* \(id\)$/,
  timeout: /^thrown TcbError FUNCTION_TIME_LIMIT_EXCEEDED: .*timed out after 1 seconds.* \(id\)$/,
  throttled: /^thrown TcbError EXCEED_RATELIMIT: .* \(id\)$/,
  'own code': `value ${JSON.stringify(refusal)} (id)`,
  'no answer yet': /^thrown Error ESOCKETTIMEDOUT: /,
  'bad credentials': /^thrown TcbError SIGN_PARAM_INVALID: .* \(id\)$/,
}
const nodeSDKGiven = {...nodeSDK, 'bad credentials': /^thrown TcbError INVALID_CREDENTIALS: .* \(id\)$/}

// A page of 3.x throws the reply's body, an answer with a code of its own is
// taken for a failure, and the timeout is not looked at.
const page3 = {
  value: hello,
  'no data': /^value \{.*"got":\{\}\} \(id\)$/,
  'function missing': /^thrown Object FUNCTION_NOT_FOUND: .* \(id\)$/,
  'function error': /^thrown Object FUNCTION_INVOCATION_FAILED: .* \(id\)$/,
  timeout: /^thrown Object FUNCTION_TIME_LIMIT_EXCEEDED: .*timed out after 1 seconds.* \(id\)$/,
  throttled: /^thrown Object EXCEED_RATELIMIT: .* \(id\)$/,
  'own code': 'returned OUT_OF_STOCK (id)',
  'no answer yet': 'value {"late":true} (id)',
}

// The server build of 3.x returns what the page throws.
const node3 = {
  ...page3,
  'function missing': 'returned FUNCTION_NOT_FOUND (id)',
  'function error': 'returned FUNCTION_INVOCATION_FAILED (id)',
  timeout: 'returned FUNCTION_TIME_LIMIT_EXCEEDED (id)',
  throttled: 'returned EXCEED_RATELIMIT (id)',
  'no answer yet': /^thrown Error -: 请求在1s内未完成，已中断 \(id\)$/,
  'bad credentials': 'returned INVALID_CREDENTIALS (id)',
}
// It adds envName to the event where it signs.
const signed3 = {...node3, value: hello.replace('"name":"世界"}', '"envName":"","name":"世界"}'), 'no data': /^value \{.*"got":\{"envName":""\}\} \(id\)$/}

// A page of 2.x or 1.x wraps the code.
const page2 = {
  value: hello,
  'no data': /^value \{.*"got":\{\}\} \(id\)$/,
  'function missing': /^thrown Error OPERATION_FAIL: \[FUNCTION_NOT_FOUND\] /,
  'function error': /^thrown Error OPERATION_FAIL: \[FUNCTION_INVOCATION_FAILED\] /,
  timeout: /^thrown Error OPERATION_FAIL: \[FUNCTION_TIME_LIMIT_EXCEEDED\] .*timed out after 1 seconds/,
  throttled: /^thrown Error OPERATION_FAIL: \[EXCEED_RATELIMIT\] /,
  'own code': `value ${JSON.stringify(refusal)} (id)`,
  'no answer yet': /^thrown Error -: .*network request error/,
}

// The control plane tells a function's failures in RetMsg of a call that went well.
const manager = {
  value: /^InvokeResult 0 \{"greeting":"Hello, 世界","got":\{"name":"世界"\}\} \(id\)$/,
  'no data': /^InvokeResult 0 \{.*"got":\{\}\} \(id\)$/,
  'function missing': /^thrown CloudBaseError -: \[missing\] 调用失败：.* \(id\)$/,
  'function error': /^InvokeResult -?\d+ \{.*"statusCode":430.*\} \(id\)$/,
  timeout: /^InvokeResult -?\d+ \{.*timed out after 1 seconds.*"statusCode":433.*\} \(id\)$/,
  throttled: /^thrown CloudBaseError -: \[busy\] 调用失败：.* \(id\)$/,
  'own code': `InvokeResult 0 ${JSON.stringify(refusal)} (id)`,
  'no answer yet': 'InvokeResult 0 {"late":true} (id)', // it is not told how long to wait
  'bad credentials': /^thrown CloudBaseError AuthFailure\.SignatureFailure: .* \(id\)$/,
}

const cannot = (reason, saying) => ({cannot: reason, saying})
const noKey2 = cannot('node-sdk 2 knows secrets only', /^thrown TcbError INVALID_PARAM: missing secretId or secretKey of tencent cloud$/)
const noKeyManager = cannot('manager-node knows secrets only', /^thrown \w*Error .*missing secretId or secretKey/)
const noKey1 = cannot('js-sdk 1 knows no access key: it calls without any token', /^thrown Error OPERATION_FAIL: \[CHECK_LOGIN_FAILED\] /)

const rows = [
  ...['node-sdk-3', 'node-sdk-2'].flatMap(sdk => [[sdk, 'secret pair', nodeSDK], [sdk, 'session token', nodeSDKGiven]]),
  ['node-sdk-3', 'API key', nodeSDKGiven],
  ['node-sdk-2', 'API key', noKey2],
  ['js-sdk-3 node', 'secret pair', {...signed3, 'bad credentials': 'returned SIGN_PARAM_INVALID (id)'}],
  ['js-sdk-3 node', 'session token', signed3],
  ['js-sdk-3 node', 'API key', node3],
  ['js-sdk-3', 'anonymous', page3],
  ['js-sdk-3', 'password', {...page3, 'bad credentials': /^sign-in thrown \w+ invalid_password: .* \(id\)$/}],
  ['js-sdk-3', 'access key', {...page3, 'bad credentials': /^thrown Object INVALID_CREDENTIALS: .* \(id\)$/}],
  ['js-sdk-2', 'anonymous', page2],
  ['js-sdk-2', 'password', {...page2, 'bad credentials': /^sign-in thrown \w+ invalid_password: .* \(id\)$/}],
  ['js-sdk-2', 'access key', {...page2, 'bad credentials': /^thrown Error OPERATION_FAIL: \[CHECK_LOGIN_FAILED\] /}],
  ['js-sdk-1', 'anonymous', page2],
  ['js-sdk-1', 'password', {...page2, 'bad credentials': /^sign-in thrown Error OPERATION_FAIL: \[CHECK_LOGIN_FAILED\] /}],
  ['js-sdk-1', 'access key', noKey1],
  ['manager-node', 'secret pair', manager],
  ['manager-node', 'session token', {...manager, 'bad credentials': /^thrown CloudBaseError AuthFailure\.TokenFailure: .* \(id\)$/}],
  ['manager-node', 'API key', noKeyManager],
]

// attempts makes a row's list of what to call and what is to come of it.
function attempts([sdk, credential, wanted]) {
  const one = (name, want) => ({sdk, credential, name, want, given, timeout: 20_000, ...cases[name]})
  if (wanted.cannot) return [{...one('value', wanted.saying), cannot: wanted.cannot}]
  return Object.entries(wanted).map(([name, want]) => one(name, want))
}

const fits = (came, want) => want instanceof RegExp ? want.test(came) : came === want

let differences = 0

// tell prints one line of the table.
function tell({sdk, credential, name, want, cannot}, came) {
  const right = fits(came, want)
  if (!right) differences++
  const mark = right ? cannot ? 'cannot' : 'ok' : 'WRONG'
  console.log(`${mark.padEnd(7)}${sdk.padEnd(15)}${credential.padEnd(15)}${name.padEnd(17)}${came.slice(0, 160)}${cannot ? ` (${cannot})` : ''}`)
  if (!right) console.log(`       wanted ${want}`)
}

bounded(170)
const scratch = await mkdtemp(join(tmpdir(), 'volley-sdk-'))
const emulators = []
try {
  const start = async (name, args) => {
    emulators.push(await emulate(volley, scratch, name, args))
    return emulators.at(-1)
  }
  const open = await start('open')
  // Two more worlds: nobody may sign in anonymously; and tokens that do not last.
  const closed = await start('closed', ['--set', 'target.emulator.sign_in_error=anonymous_off'])
  const record = join(scratch, 'brief.jsonl')
  const brief = await start('brief', ['--set', 'target.emulator.token_life=2s', '--record', record])

  tell({sdk: 'hook.cjs', credential: '', name: 'other hosts', want: Array(5).fill('ECONNREFUSED').join(' ')}, await sealed(open, scratch))

  const jobs = rows.map(row => [open, attempts(row)])
  const anonymous = rows.filter(([, credential]) => credential === 'anonymous')
  jobs.push(...anonymous.map(([sdk, credential]) => [closed, [
    {sdk, credential, name: 'bad credentials', want: /^sign-in thrown Error (permission_denied|OPERATION_FAIL): .*anonymous sign-in is not enabled/, given, timeout: 20_000, fn: 'hello'},
  ]]))
  jobs.push(...rows.filter(([sdk, credential, wanted]) => ['anonymous', 'password'].includes(credential)).map(([sdk, credential]) => [brief, [
    {sdk, credential, name: 'fresh token', want: hello, given, timeout: 20_000, ...cases.value},
    {sdk, credential, name: 'renewed token', want: hello, given, timeout: 20_000, ...cases.value, pause: 2500},
    {sdk, credential, name: 'renewed again', want: hello, given, timeout: 20_000, ...cases.value, pause: 2500},
  ]]))
  const came = await pool(3, jobs.map(([emulator, list]) => () => call(emulator, scratch, list)))
  jobs.forEach(([, list], i) => list.forEach((one, k) => tell(one, came[i][k])))
  const renewals = (await recorder(brief, record)()).filter(({path, body}) => path === '/auth/v1/token' || body.includes('auth.fetchAccessTokenWithRefreshToken'))
  tell({sdk: 'js-sdk 3, 2, 1', credential: '', name: 'renewals', want: /^(1[2-9]|[2-9]\d) renewals/}, `${renewals.length} renewals on the way`)
  for (const [one, got] of await framework(volley, scratch)) tell(one, got)
} catch (error) {
  differences++
  console.error(`sdk: ${error.stack}`)
} finally {
  await Promise.all(emulators.map(emulator => emulator.stop()))
  await rm(scratch, {recursive: true, force: true})
}
differences += await compare(volley)
console.log(differences === 0 ? 'sdk: every SDK got what it is documented to get, and volley asks as they do' : `sdk: ${differences} differences`)
process.exitCode = differences === 0 ? 0 : 1
