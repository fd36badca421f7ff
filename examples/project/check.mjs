// Has volley make a scenario of each project, tell what it would fire, and fire
// it: environment, functions and payloads must be those that the vendor's own
// command line used on the same project.
//
//   node check.mjs VOLLEY FOLDER
//
// FOLDER is what make.mjs made.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const [volley, folder] = process.argv.slice(2).map((path) => resolve(path));
const run = promisify(execFile);
const lines = (path) => readFileSync(path, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));

// emulator serves functions of these names, and writes down what comes.
function emulator(functions, scratch) {
  const scenario = join(scratch, 'emulator.yaml');
  writeFileSync(scenario, JSON.stringify({ target: { emulator: { functions } } }));
  const child = spawn(volley, ['emulate', scenario, '--listen', '127.0.0.1:0', '--record', join(scratch, 'record.jsonl'), '--quiet'], { stdio: ['ignore', 'pipe', 'ignore'] });
  process.on('exit', () => child.kill());
  return new Promise((ready, fail) => {
    let said = '';
    child.stdout.on('data', (chunk) => {
      said += chunk;
      const url = said.match(/listening on (\S+)/)?.[1];
      if (url) ready({ url, stop: () => new Promise((done) => { child.once('close', done); child.kill('SIGINT'); }) });
    });
    child.once('close', () => fail(new Error('the emulator ended early')));
  });
}

for (const name of readdirSync(folder)) {
  const project = join(folder, name);
  const scratch = mkdtempSync(join(tmpdir(), 'volley-project-'));
  const env = { PATH: process.env.PATH, HOME: scratch, PROJECT_ENV: 'my-env-1a2b3c', CLOUDBASE_APIKEY: 'nobody-in-particular', CI: '1' };
  const told = (...args) => run(volley, args, { cwd: project, env, timeout: 30_000 }).then(({ stdout }) => stdout);
  const wanted = lines(join(project, 'invocations.jsonl'));

  const scenario = join(scratch, 'all.yaml');
  writeFileSync(scenario, await told('new', '--from', '.', '-'));
  const plan = await told('validate', '--plan', scenario);
  assert.match(plan, new RegExp(`in the environment ${wanted[0].env}\\b`), `${name}: the plan names another environment:\n${plan}`);
  for (const { function: fn } of wanted) assert.match(plan, new RegExp(`\\binvoke: ${fn}\\b`), `${name}: the plan has no ${fn}:\n${plan}`);
  const planned = plan.match(/invocations\s+(\d+) in each iteration/)?.[1];
  assert.equal(planned, String(wanted.length), `${name}: the plan has other invocations:\n${plan}`);

  const http = (fn) => new RegExp(`\\b${fn} by http-function\\b`).test(plan);
  const gateway = await emulator(Object.fromEntries(wanted.map(({ function: fn }) => [fn, { http: http(fn) }])), scratch);
  await told('run', scenario, '--endpoint', gateway.url, '-H', 'Authorization: Bearer ${CLOUDBASE_APIKEY}', '--out', join(scratch, 'run'), '--quiet').catch((e) => {
    if (e.code !== 111) throw e; // one iteration on a busy machine may well be late
  });
  await gateway.stop();
  const came = lines(join(scratch, 'record.jsonl')).filter((r) => r.path?.startsWith('/v1/functions/'))
    .map((r) => ({ function: r.path.split('/')[3], params: r.body ? JSON.parse(r.body) : {} }));
  const sorted = (all) => all.toSorted((a, b) => a.function.localeCompare(b.function));
  assert.deepEqual(sorted(came), sorted(wanted.map(({ function: fn, params }) => ({ function: fn, params: http(fn) ? {} : params }))),
    `${name}: what was invoked is not what the vendor's command line invokes`);
  console.log(`${name.padEnd(10)} environment ${wanted[0].env}, ${wanted.length} functions, ${came.length} payloads as the vendor's: ${wanted.map((w) => w.function).join(', ')}`);
  rmSync(scratch, { recursive: true });
}
