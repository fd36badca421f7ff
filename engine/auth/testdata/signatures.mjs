// Prints requests at random, from a fixed seed, and the Authorization values
// that the vendor's own packages compute of them, which ../signature_test.go
// reads.
//
//   node signatures.mjs > signatures.json
//
// Variants as PROTOCOL.md 9 names them: A by the package that node-sdk 3 uses,
// A2 by the older one that node-sdk 2 uses, B, C. Queries and paths are escaped
// as a client sends them: what url.parse would escape on its own is not here.

import vendor from '@cloudbase/signature-nodejs'
import older from 'signature-nodejs-1'

const wanted = {A: 160, A2: 60, B: 160, C: 40}

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
const chance = p => next() < p
const some = (most, make) => Array.from({length: below(most + 1)}, make)

const blanks = ['', '', '', ' ', '  ', '\t', '\u00a0', '\u3000', '\ufeff', '\u2028']
const pieces = [
  'a', 'Z', '7', 'hello', 'World', '$LATEST', '你好', 'Größe', 'ÀÉ', 'Ж', 'İ', 'ŒUVRE', '🦊', 'e\u0301', '"', "'", '\\', '/', '&', '=', '?', '#', '%', '%20', '+',
  ';', ',', ':', '{', '}', '<b>', '\n', '\r\n', '\t', ' ', '\u0085', '\u0000', '\u200b', '-', '_', '.', '~', '|', '*', '(', ')', '!',
]
const text = most => some(most, () => pick(pieces)).join('')
const padded = () => pick(blanks) + text(6) + pick(blanks)

// A field's value: most are text, as the SDKs send them.
function value(depth = 0) {
  const kind = below(depth > 2 ? 8 : 12)
  if (kind < 4) return padded()
  if (kind === 4) return ''
  if (kind === 5) return pick([0, 1, -1, 3.5, 1e21, 1e-7, 123456789012, -0])
  if (kind === 6) return pick([true, false, null])
  if (kind === 7) return pick([' ', '\u3000\ufeff', '\t\n'])
  if (kind < 10) return Array.from({length: below(4)}, () => value(depth + 1))
  return Object.fromEntries(some(3, () => [text(2), value(depth + 1)]))
}

const fieldNames = [
  'action', 'function_name', 'qualifier', 'request_data', 'envName', 'wxCloudApiToken', 'tcb_sessionToken', 'sessionToken', 'eventId',
  'a', 'A', 'ab', 'a_b', 'a-b', 'a.b', 'a1', 'a~b', 'aB', 'a b', ' a', 'Größe', 'ключ', '名', 'e!', "q'", '(p)', 'x*', 'k=v', 'k&v', '_', '-', 'z9', 'z_', 'content-type',
]

function fields() {
  const made = {}
  for (let n = below(10); n >= 0; n--) {
    const name = pick(fieldNames)
    made[name] = name === 'content-type' ? padded() : value() // the package takes no other value for that name
  }
  return made
}

const headerNames = [
  'User-Agent', 'X-TCB-Source', 'x-tcb-source', 'X-Client-Timestamp', 'X-SDK-Version', 'X-TCB-Region', 'X-Qualifier', 'X-Request-Id', 'Accept',
  'X-A', 'x-a', 'X-A-B', 'X-A1', 'X_A', 'x_a1', 'X-AB', 'x.a', ' X-Odd ', 'Origin', 'Cookie', 'X-Tcb-Webfn', 'Authorization-2', 'x~y', 'x!y',
]
const headerValues = () => chance(0.2) ? pick([1700000001123, 0, 600, true, '', ' ']) : padded()
const contentTypes = [
  'application/json', 'application/json; charset=utf-8', 'Application/JSON; Charset=UTF-8', ' application/json ', 'text/plain;charset=UTF-8',
  'multipart/form-data; boundary=----AbC', 'multipart/form-data', 'Multipart/Form-Data; boundary=x',
]

function headers(host) {
  const lines = some(6, () => [pick(headerNames), headerValues()])
  lines.splice(below(lines.length + 1), 0, [pick(['Content-Type', 'content-type', 'CONTENT-TYPE']), pick(contentTypes)])
  lines.splice(below(lines.length + 1), 0, [pick(['Host', 'host', 'HOST']), pick([host, host.toUpperCase()])])
  return Object.fromEntries(lines)
}

const hosts = ['e-1.tcb-api.tencentcloudapi.com', 'e-1.ap-shanghai.tcb-api.tencentcloudapi.com', 'e-1.api.tcloudbasegateway.com', 'localhost:8080', '127.0.0.1:65000', 'scf.tencentcloudapi.com']
const queries = [
  '', '', 'env=e-1&seqId=18bcfe56800_1', '&eventId=X_1&seqId=X_1', 'webfn=true', 'a', 'a=', '=b', '=', '&', '&&a=1&&', 'a=1&a=2&A=3', 'b=2&a=1',
  'a=%E4%BD%A0%e5%a5%bd', 'a+b=c%20d', 'x=y=z', 'q=?&r=/', 'a=%00', 'a=%2B%26%3D', '$a=1;b=2', 'a=*()!~-_.', 'a[]=1&a[]=2', 'a:b@c=,',
]
const paths = [
  '/', '/v1/functions/hello-world', '/v1/functions/hello-world/', '/v1/functions/fn/api/users/7', '/v1/functions/fn//double', '/v1/functions/fn/%E4%BD%A0%E5%A5%BD',
  '/v1/functions/fn/a%20b', '/v1/functions/fn/a%2Fb', '/v1/functions/fn/a;b=c', '/v1/functions/fn/:@!$&()*+,=~-_.', '/auth/v1/token/clientCredential', '/V1/Upper',
]

// plain is a value as a client of ours has it: a string as it is, all else as JSON.
const plain = v => typeof v === 'string' ? v : JSON.stringify(v)

function example(variant) {
  const id = 'AKID' + pick(['FAKE0000', 'other/with/slashes', '0'.repeat(40)])
  const key = pick(['FAKEKEYfakekeyFAKEKEYfakekey0000', 'k', 'ключ', 'K'.repeat(100)])
  const session = chance(0.3) ? pick(['sts-token', 'sts+/=, with commas', 'x'.repeat(300)]) : ''
  const host = pick(hosts)
  const timestamp = below(2 ** 31 - 2) + 1
  const verb = pick(['POST', 'POST', 'POST', 'GET', 'PUT', 'DELETE'])
  const path = variant.startsWith('A') ? pick(['/admin', '/admin', '/', '/a/b']) : pick(paths)
  const query = pick(queries)
  const service = variant === 'C' ? pick(['scf', 'tcb']) : 'tcb'
  const lines = headers(host)
  const url = `${pick(['https', 'http'])}://${host}${path}${query === '' ? pick(['', '?']) : '?' + query}`
  const asked = {secretId: id, secretKey: key, url, service, headers: lines, timestamp}

  const known = {variant, id, key, session, service, timestamp, verb, host, path, query, header: Object.entries(lines).map(([n, v]) => [n, plain(v)])}
  if (variant.startsWith('A')) {
    const params = fields()
    const sign = variant === 'A' ? vendor.sign : older.sign
    const {authorization} = sign({...asked, method: verb.toLowerCase(), params, withSignedParams: true})
    return {...known, params: Object.entries(params).map(([n, v]) => [n, plain(v)]), authorization}
  }
  const params = chance(0.15) ? '' : pick([fields, () => ({}), () => [value(), value()]])()
  const body = params === '' ? '' : JSON.stringify(params)
  let {authorization} = vendor.sign({...asked, method: verb, params, isCloudApi: true, withSignedParams: false})
  if (variant === 'B') { // as node-sdk and js-sdk end it
    authorization += `, Timestamp=${timestamp}`
    if (session !== '') authorization += `, Token=${session}`
  }
  return {...known, body, authorization}
}

const lines = Object.entries(wanted).flatMap(([variant, n]) => Array.from({length: n}, () => JSON.stringify(example(variant))))
process.stdout.write('[\n' + lines.join(',\n') + '\n]\n')
